/** One try at the door: pictures go to the server one at a time, and what it says comes back. */

import { ApiError, post } from "./api.js";
import { nextPicture, still } from "./camera.js";

const LEAST = 0.095; // seconds between two pictures: eight to ten a second
const PATIENCE = 4; // seconds without an answer
const PICTURE = { width: 480, quality: 0.85 };

/**
 * @typedef {{phase: "looking"|"challenge"|"admitted"|"refused", sentence: string, prompt: ?string, step: number, steps: number,
 *   box: ?[number, number, number, number]}} Told
 */

/**
 * @param {HTMLVideoElement} video
 * @param {(now: Told) => void} tell after every picture
 * @param {AbortSignal} signal
 * @returns {Promise<Told>} the last word
 */
export async function attempt(video, tell, signal) {
  const begun = await post("/door/attempts", { signal });
  const path = `/door/attempts/${encodeURIComponent(begun.id)}/frames?nonce=${encodeURIComponent(begun.nonce)}`;
  let now = { box: null, ...begun };
  let answered = performance.now() / 1000;
  let last = 0;
  let before = null;
  tell(now);
  for (let n = 0; !over(now); ) {
    const taken = await nextPicture(video);
    signal.throwIfAborted();
    if (taken - last < LEAST) continue;
    last = taken;
    const body = await still(video, PICTURE);
    if (await same(body, before)) continue;
    before = body;
    try {
      now = await post(`${path}&n=${n}&taken=${taken.toFixed(4)}`, { body, type: "image/jpeg", signal });
      answered = performance.now() / 1000;
    } catch (error) {
      const passing = error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status === 503);
      if (!passing || performance.now() / 1000 - answered > PATIENCE) throw error;
    }
    n += 1;
    tell(now);
  }
  return now;
}

/** A slow camera may give a picture twice; the server takes that for a recording, and rightly. */
async function same(picture, before) {
  if (!before || picture.size !== before.size) return false;
  const [now, then] = await Promise.all([picture.arrayBuffer(), before.arrayBuffer()]);
  const old = new Uint8Array(then);
  return new Uint8Array(now).every((value, i) => value === old[i]);
}

export const over = (now) => now.phase === "admitted" || now.phase === "refused";
