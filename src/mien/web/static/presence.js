/** The server cancels the jobs of a browser that went away. One that only went to another room is still there. */

import { ApiError, get } from "./api.js";
import { ended } from "./jobs.js";

const PAUSE = 30000; // milliseconds; the server waits for two minutes

/** While this browser has jobs that have not ended, ask for them now and then, in whatever room it is. */
export async function stayPresent() {
  try {
    const { jobs } = await get("/jobs");
    if (jobs.every(ended)) return;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // the next ask may reach the server again
  }
  setTimeout(stayPresent, PAUSE);
}
