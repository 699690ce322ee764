/** What this browser has made: small pictures in a row, newest first, those that run at the front. */

import { element, fill, icon } from "./element.js";
import { capital, time } from "./words.js";

/**
 * @param {HTMLElement} list an <ul class="strip">
 * @param {import("./jobs.js").Job[]} jobs
 * @param {?string} current id of the one that is shown
 * @param {(job: import("./jobs.js").Job) => void} show
 * @param {{label: string, act: () => void}} fresh the way to a new one, at the front
 */
export function drawStrip(list, jobs, current, show, fresh) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  const first = element("li", {}, element("button", { type: "button", "data-id": "new", onclick: fresh.act },
    element("span", { class: "blank new" }, icon("plus")), element("span", { class: "tag" }, fresh.label)));
  fill(list, first, ...jobs.map((job) => {
    const picture = job.state === "done" ? job.picture ?? job.photo : job.frame ?? job.photo;
    const words = tag(job);
    return element("li", {},
      element("button", {
        type: "button", "data-id": job.id, "aria-current": job.id === current ? "true" : null,
        "aria-label": `${job.title}, ${words}`, title: job.title, onclick: () => show(job),
      },
      picture ? element("img", { src: picture, alt: "", loading: "lazy", draggable: "false" }) : element("span", { class: "blank" }, icon("picture")),
      element("span", { class: "tag figures" }, words)));
  }));
  if (focused) list.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
}

function tag(job) {
  if (job.state === "running") return `${Math.floor(100 * job.progress.fraction)} %`;
  if (job.state === "queued") return job.position ? `${job.position} before` : "next";
  return job.state === "done" ? time(job.created) : capital(job.state);
}
