/** The camera in the browser: opened, looked through, closed. */

import { ApiError } from "./api.js";

const REASONS = {
  NotAllowedError: "This page may not use the camera. Allow it by the camera sign in the address bar, and try again.",
  SecurityError: "This page may not use the camera. Allow it in the browser’s settings, and try again.",
  NotFoundError: "No camera was found. Connect one, and try again.",
  OverconstrainedError: "No camera was found that fits. Connect another, and try again.",
  NotReadableError: "The camera is in use by another program. Close that program, and try again.",
  AbortError: "The camera did not start. Try again.",
};

/** Why there can be no camera here at all; "" if there can. */
export function noCamera() {
  if (!window.isSecureContext) {
    const here = `http://localhost${location.port ? `:${location.port}` : ""}${location.pathname}`;
    return `A browser opens the camera only for a safe address. Open this page by https://, or on the computer itself as ${here}.`;
  }
  return navigator.mediaDevices?.getUserMedia ? "" : "This browser has no access to a camera. Try a current Firefox, Chrome, Edge or Safari.";
}

/**
 * Show the camera in a video element until the function that comes back is called.
 * @param {HTMLVideoElement} video
 * @param {() => void} [lost] the camera was unplugged, or taken back
 * @returns {Promise<() => void>}
 */
export async function openCamera(video, lost = () => {}) {
  const reason = noCamera();
  if (reason) throw new ApiError(reason, 0);
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: false, video: { facingMode: "user", width: { ideal: 960 }, height: { ideal: 720 }, frameRate: { ideal: 30 } },
    });
  } catch (error) {
    throw new ApiError(REASONS[error.name] ?? "The camera did not start. Try again.", 0);
  }
  const close = () => {
    for (const track of stream.getTracks()) track.stop();
    if (video.srcObject === stream) video.srcObject = null;
  };
  for (const track of stream.getTracks()) track.addEventListener("ended", lost);
  video.srcObject = stream;
  try {
    await video.play();
  } catch {
    close();
    throw new ApiError("The camera’s picture did not start. Try again.", 0);
  }
  return close;
}

/**
 * Wait for a picture that was not there before.
 * @param {HTMLVideoElement} video
 * @returns {Promise<number>} when it came, in seconds of a clock that only goes forward
 */
export function nextPicture(video) {
  return new Promise((settle) => {
    if (video.requestVideoFrameCallback) {
      video.requestVideoFrameCallback((now) => settle(now / 1000));
      return;
    }
    const before = video.currentTime;
    const look = () => {
      if (video.currentTime !== before) settle(performance.now() / 1000);
      else requestAnimationFrame(look);
    };
    look();
  });
}

const canvas = document.createElement("canvas");

/**
 * What the camera sees now, not mirrored.
 * @param {HTMLVideoElement} video
 * @param {{width: number, quality: number}} how
 * @returns {Promise<Blob>} a JPEG
 */
export function still(video, { width, quality }) {
  const scale = Math.min(1, width / video.videoWidth);
  [canvas.width, canvas.height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((settle) => canvas.toBlob(settle, "image/jpeg", quality));
}
