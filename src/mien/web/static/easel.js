/** What hangs on the wall: nothing yet, a photo, a painting that grows, or a painting that is done. */

import { byId, element, fill, icon } from "./element.js";
import { compare } from "./compare.js";
import { photoName } from "./jobs.js";
import { lasted, listed, plainName, timeLeft } from "./words.js";

/**
 * @param {{again: (job: object) => void, cancel: (job: object) => void, away: (job: object) => void, other: () => void}} acts
 */
export function easel(acts) {
  const hung = byId("hung");
  const placard = byId("placard");
  let growing = null;
  let shownAs = "";

  function hang(as, ...what) {
    byId("empty").hidden = true;
    hung.hidden = false;
    shownAs = as;
    growing = null;
    fill(hung, ...what);
  }

  function nothing() {
    byId("empty").hidden = false;
    hung.hidden = true;
    shownAs = "";
    growing = null;
    fill(hung);
    fill(placard);
  }

  /** A photo that waits to be painted. */
  function photo(address, name, said) {
    const picture = element("img", { src: address, alt: `Your photo, ${name}`, draggable: "false" });
    const box = element("div", { class: "grow" }, picture);
    picture.addEventListener("load", () => fitted(box, picture), { once: true });
    picture.addEventListener("error", () => {
      fill(hung, element("p", { class: "unshown faint" }, `This browser cannot show “${name}”. It can be painted all the same.`));
    }, { once: true });
    hang("photo", box);
    fill(placard,
      element("div", { class: "row" }, element("span", { class: "title" }, name),
        element("button", { class: "button plain push", type: "button", onclick: acts.other }, "Another photo")),
      said ? element("p", { class: "faint small" }, said) : null);
  }

  /** A job at any moment of its life. */
  function job(now) {
    if (now.state === "done" && now.picture) return done(now);
    if (now.state === "failed" || now.state === "cancelled") return stopped(now);
    const as = `grow ${now.id}`;
    if (shownAs !== as) {
      const box = element("div", { class: "grow" });
      hang(as, box);
      const bar = element("progress", { max: 1, value: 0, "aria-label": "How far the painting is" });
      const words = element("div", { class: "words figures" });
      const cancel = element("button", { class: "button", type: "button", onclick: () => acts.cancel(now) }, "Cancel");
      fill(placard, bar, element("div", { class: "row" }, words, element("span", { class: "push" }, cancel)));
      growing = { box, bar, words, shown: "", coming: "" };
    }
    grow(now);
  }

  function grow(now) {
    const { box, bar, words } = growing;
    const queued = now.state === "queued";
    box.classList.toggle("waiting", queued || !now.frame);
    const { fraction, remaining, words: step } = now.progress;
    if (queued || fraction === 0) bar.removeAttribute("value");
    else bar.value = fraction;
    const parts = queued ? [now.position ? `Waiting: ${now.position} before this one` : "Waiting: this one is next"]
      : [fraction ? `${Math.floor(100 * fraction)} %` : "Preparing", timeLeft(remaining), step];
    fill(words, element("span", {}, parts.filter(Boolean).join(" · ")));
    put(now.frame ?? now.photo);
  }

  /** The next state of the picture, faded in when it has come whole; what comes late is left out. */
  function put(address) {
    const mine = growing;
    if (!address || address === mine.coming || address === mine.shown) return;
    const next = new Image();
    mine.coming = address;
    next.src = address;
    next.alt = "The painting as it grows";
    next.className = "new";
    next.decode().then(() => {
      if (growing !== mine || mine.coming !== address) return;
      mine.shown = address;
      mine.box.append(next);
      while (mine.box.children.length > 2) mine.box.firstElementChild.remove();
      fitted(mine.box, next);
    }).catch(() => {
      if (mine.coming === address) mine.coming = "";
    });
  }

  function done(now) {
    if (shownAs === `done ${now.id}`) return;
    const name = photoName(now);
    hang(`done ${now.id}`, now.photo ? compare({ before: now.photo, after: now.picture, name })
      : element("img", { src: now.picture, alt: `${name}, the painting` }));
    fill(placard,
      element("div", { class: "row" }, element("div", {},
        element("div", { class: "title" }, name), element("div", { class: "faint small figures" }, about(now))),
      element("span", { class: "row push" },
        element("a", { class: "button main", href: withDownload(now.picture), download: "" }, icon("down"), "Download"),
        element("button", { class: "button", type: "button", onclick: () => acts.again(now) }, icon("again"), "Use its settings"),
        bin(now))));
  }

  function stopped(now) {
    const as = `${now.state} ${now.id}`;
    if (shownAs === as) return;
    const last = now.frame ?? now.photo;
    const picture = element("img", { src: last, alt: "As far as it came" });
    const box = element("div", { class: "grow" }, picture);
    picture.addEventListener("load", () => fitted(box, picture), { once: true });
    hang(as, last ? box : element("p", { class: "unshown faint" }, now.title));
    const sentence = now.state === "failed" ? now.error ?? "The painting failed." : `Cancelled. ${now.error ?? ""}`.trim();
    fill(placard, element("div", { class: "row" },
      element("div", {}, element("div", { class: "title" }, now.title),
        element("div", { class: now.state === "failed" ? "fault" : "faint small", role: now.state === "failed" ? "alert" : null }, sentence)),
      element("span", { class: "row push" },
        element("button", { class: "button", type: "button", onclick: () => acts.again(now) }, icon("again"), "Use its settings"), bin(now))));
  }

  const bin = (now) => element("button", {
    class: "button bare", type: "button", "aria-label": `Delete ${now.title}`, title: "Delete", onclick: () => acts.away(now),
  }, icon("bin"));

  return { nothing, photo, job };
}

/** The style sheet makes it as wide as the wall, and as high as the window lets it be. */
function fitted(box, picture) {
  box.style.setProperty("--ratio", String(picture.naturalWidth / picture.naturalHeight));
}

const withDownload = (address) => address + (address.includes("?") ? "&" : "?") + "download=1";

/** In what styles, how large, how long. */
function about(job) {
  const { styles = [], size, preview } = job.settings;
  return [
    styles.length ? `in the style of ${listed(styles.map((style) => plainName(style.replace(/^@/, ""))))}` : "",
    preview ? "a quick draft" : size ? `${size} px` : "",
    job.seconds ? `painted in ${lasted(job.seconds)}` : "",
  ].filter(Boolean).join(" · ");
}
