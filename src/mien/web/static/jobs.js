/** Jobs of this browser: watched while they run, listed afterwards. The server keeps them, so a reload loses nothing. */

import { ApiError, get, remove } from "./api.js";

/**
 * @typedef {{id: string, kind: "painting"|"look", state: "queued"|"running"|"done"|"failed"|"cancelled", position: number,
 *   title: string, created: string, error: ?string, photo: ?string, picture: ?string, frame: ?string, report: ?string,
 *   settings: Record<string, any>, seconds: ?number,
 *   progress: {fraction: number, elapsed: number, remaining: ?number, words: string, frame: number}}} Job
 */

/** Nothing more will come of it. */
export const ended = (job) => ["done", "failed", "cancelled"].includes(job.state);

/** The photo's own name, out of a title such as “cat.jpg as @night”. */
export const photoName = (job) => job.title.split(" as ").slice(0, -1).join(" as ") || job.title;

/** @returns {Promise<Job[]>} newest first */
async function jobsOf(kind) {
  const { jobs } = await get("/jobs");
  return jobs.filter((job) => job.kind === kind);
}

/** Cancel one that runs, or remove one that has ended. */
export const drop = (job) => remove(`/jobs/${encodeURIComponent(job.id)}`);

/**
 * Tell of every change of a job until it has ended. The browser takes up a broken stream again by itself; where it gives
 * up, the job is asked for every two seconds instead.
 * @param {string} id
 * @param {(job: Job) => void} tell
 * @param {(sentence: string) => void} lost the job is not there any more
 * @returns {() => void} stops the watching, not the job
 */
function watch(id, tell, lost) {
  const path = `/jobs/${encodeURIComponent(id)}`;
  const stream = new EventSource(`/api/v1${path}/events`);
  let timer = 0;
  let over = false;
  const stop = () => {
    over = true;
    stream.close();
    clearTimeout(timer);
  };
  const take = (job) => {
    if (over) return;
    if (ended(job)) stop();
    tell(job);
  };
  const ask = async () => {
    try {
      take(await get(path));
    } catch (error) {
      if (over) return;
      if (error.status === 404) {
        stop();
        lost("This job is not there any more.");
        return;
      }
    }
    if (!over) timer = setTimeout(ask, 2000);
  };
  const read = (event) => take(JSON.parse(event.data));
  stream.addEventListener("job", read);
  stream.addEventListener("message", read);
  stream.addEventListener("error", () => {
    if (!over && stream.readyState === EventSource.CLOSED && !timer) ask();
  });
  return stop;
}

const PAUSE = 3000; // milliseconds between two looks at jobs that are not shown

/**
 * All jobs of one kind. The one that is shown has a stream of its own; the others are asked for together now and then,
 * because a browser opens six connections to a server and no more.
 * @param {"painting"|"look"} kind
 * @param {(job: Job) => void} changed
 * @param {(id: string) => void} gone it is not there any more, and was not removed by `remove`
 */
export function jobKeeper(kind, changed, gone) {
  /** @type {Job[]} */
  let jobs = [];
  let shown = null;
  let stop = () => {};
  let timer = 0;
  const find = (id) => jobs.find((job) => job.id === id);
  const put = (now) => {
    const at = jobs.findIndex((job) => job.id === now.id);
    if (at < 0) return;
    jobs[at] = now;
    changed(now);
  };
  const lose = (id) => {
    jobs = jobs.filter((job) => job.id !== id);
    gone(id);
  };
  const unseen = () => jobs.filter((job) => !ended(job) && job.id !== shown);
  const later = () => {
    if (!timer && unseen().length) timer = setTimeout(look, PAUSE);
  };
  async function look() {
    try {
      const fresh = await jobsOf(kind);
      for (const { id } of unseen()) {
        const now = fresh.find((job) => job.id === id);
        if (now) put(now);
        else lose(id);
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the next look may reach the server again
    }
    timer = 0;
    later();
  }
  return {
    all: () => jobs,
    find,
    /** The oldest that has not ended. */
    running: () => jobs.filter((job) => !ended(job)).pop(),
    async load() {
      jobs = await jobsOf(kind);
      later();
    },
    add(job) {
      jobs.unshift(job);
    },
    remove(id) {
      jobs = jobs.filter((job) => job.id !== id);
    },
    /** Follow this one closely; null for none. */
    show(id) {
      if (id === shown) return;
      stop();
      stop = () => {};
      shown = id;
      const job = find(id);
      if (job && !ended(job)) stop = watch(id, put, () => lose(id));
      later();
    },
  };
}
