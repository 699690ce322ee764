/** Whether somebody has come: something moves in the middle of the camera's picture, and goes on moving. */

const [WIDE, HIGH] = [32, 24];
const MOVED = 9; // mean change of a grey value, of 255
const STEPS = 4; // so many looks in a row
const PAUSE = 250; // milliseconds between two looks

/**
 * @param {HTMLVideoElement} video
 * @param {() => void} come called once
 * @returns {() => void} stops the looking
 */
export function whenSomebodyComes(video, come) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [WIDE, HIGH];
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  let before = null;
  let moving = 0;
  const timer = setInterval(() => {
    if (document.hidden || !video.videoWidth) return;
    pen.drawImage(video, 0, 0, WIDE, HIGH);
    const now = greys(pen.getImageData(WIDE / 4, 0, WIDE / 2, HIGH).data);
    if (before) {
      const change = now.reduce((sum, value, i) => sum + Math.abs(value - before[i]), 0) / now.length;
      moving = change > MOVED ? moving + 1 : 0;
    }
    before = now;
    if (moving >= STEPS) {
      clearInterval(timer);
      come();
    }
  }, PAUSE);
  return () => clearInterval(timer);
}

function greys(pixels) {
  const values = new Float32Array(pixels.length / 4);
  for (let i = 0; i < values.length; i += 1) values[i] = (pixels[4 * i] + pixels[4 * i + 1] + pixels[4 * i + 2]) / 3;
  return values;
}
