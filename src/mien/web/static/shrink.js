/** Pictures that are larger than the server takes are made smaller here, in the browser, and only those. */

import { ApiError } from "./api.js";
import { bytes } from "./words.js";

const TIGHT = 0.95;

/**
 * The file itself where it is within the limits, else a smaller JPEG of it.
 * @param {File} file
 * @param {{bytes?: number, pixels?: number}} limits
 * @returns {Promise<{file: File, said: string}>} said: what was done, for the person; "" if nothing
 */
export async function within(file, limits) {
  const [most, largest] = [limits.bytes || Infinity, limits.pixels || Infinity];
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    // Kinds that this browser cannot show (HEIC, TIFF) may be readable by the server.
    if (file.size <= most) return { file, said: "" };
    throw new ApiError(
      `“${file.name}” has ${bytes(file.size)}, the server takes ${bytes(most)}, and this browser cannot read it to make it smaller. `
      + "Save it as a smaller JPEG.", 0);
  }
  try {
    const pixels = picture.width * picture.height;
    if (file.size <= most && pixels <= largest) return { file, said: "" };
    let scale = Math.min(1, Math.sqrt((largest * TIGHT) / pixels));
    for (let tries = 0; tries < 6; tries += 1) {
      const [width, height] = [Math.floor(picture.width * scale), Math.floor(picture.height * scale)];
      const small = await redrawn(picture, width, height);
      if (small && small.size <= most) {
        const name = file.name.replace(/\.[^.]*$/, "") + ".jpg";
        const said = `Made smaller in this browser, from ${picture.width} × ${picture.height} to ${width} × ${height} pixels, `
          + "because the server takes no larger pictures.";
        return { file: new File([small], name, { type: "image/jpeg" }), said };
      }
      scale *= 0.7;
    }
  } finally {
    picture.close();
  }
  throw new ApiError(`“${file.name}” could not be made small enough for the server, which takes ${bytes(most)}.`, 0);
}

function redrawn(picture, width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, 0, 0, width, height);
  return new Promise((settle) => canvas.toBlob(settle, "image/jpeg", 0.92));
}
