/** The Door: somebody comes, looks at the camera, follows the arrows, and is welcomed or not. */

import { ApiError, get } from "./api.js";
import { attempt, over } from "./attempt.js";
import { noCamera, openCamera } from "./camera.js";
import { byId, element, fill, icon } from "./element.js";
import { whenSomebodyComes } from "./motion.js";
import { stayPresent } from "./presence.js";
import { takeToken } from "./session.js";
import { canSpeak, setSpeaking, speak, speaks, whenVoices } from "./voice.js";
import { clock } from "./words.js";

const KIOSK = new URLSearchParams(location.search).has("kiosk");
const SHOWN = 6; // seconds that the last word stands
const GREETING = { sentence: "Good day", hint: "Press Begin, look at the camera, and follow the arrows." };
const KIOSK_GREETING = { sentence: "Good day", hint: "Step up to the camera." };
const HINTS = {
  looking: "Hold your face in the oval, in good light.",
  left: "As in a mirror: the way the arrow points.", right: "As in a mirror: the way the arrow points.",
  up: "", down: "", front: "Back to the middle.", closer: "Until your face fills more of the picture.",
};

const ARROWS = ["left", "right", "up", "down", "closer"];

const [main, video, stage] = [byId("main"), byId("video"), byId("stage")];
let close = null;
let running = null;
let timer = 0;
let seen = false; // a face, in this try
let unwatch = () => {};

// ---- what is on the screen ----

function show(state, { sentence, hint = "", sign = { admitted: "check", locked: "lock", closed: "lock" }[state] }) {
  main.dataset.state = state;
  const last = state === "admitted" || state === "refused";
  speech(sentence, last);
  byId("hint").textContent = hint;
  const busy = state === "looking" || state === "challenge";
  byId("begin").hidden = busy || KIOSK || state === "closed" || state === "locked";
  byId("begin").textContent = { refused: "Try again", admitted: "Next person" }[state] ?? "Begin";
  byId("stop").hidden = !busy || KIOSK;
  if (!busy) {
    byId("box").hidden = true;
    byId("arrow").hidden = true;
    dots(0, 0);
  }
  byId("sign").hidden = !sign;
  fill(byId("sign"), sign ? icon(sign) : null);
}

/** Of a last word, the first sentence stands large; all of it is read out. */
function speech(sentence, last) {
  const line = byId("sentence");
  if (line.textContent === sentence) return;
  const first = last ? /^.+?[.!?](?= )/.exec(sentence)?.[0] : null;
  fill(line, first ?? sentence, first ? element("span", { class: "rest" }, sentence.slice(first.length)) : null);
}

function tell(now) {
  seen ||= Boolean(now.box);
  if (over(now)) return;
  const before = byId("sentence").textContent;
  show(now.phase, { sentence: now.sentence, hint: HINTS[now.prompt ?? "looking"] ?? "" });
  if (before !== now.sentence) speak(now.sentence);
  box(now.box);
  arrow(now.prompt);
  dots(now.step, now.steps);
}

/** The server sees the picture unmirrored; the preview is a mirror. */
function box(place) {
  const frame = byId("box");
  frame.hidden = !place;
  if (!place) return;
  const [x, y, width, height] = place;
  const shares = { left: 1 - x - width, top: y, width, height };
  for (const [side, share] of Object.entries(shares)) frame.style[side] = `${100 * share}%`;
}

/**
 * `left` is the person's own left. In a mirror, whoever turns to their left is seen to turn to the left of the mirror:
 * so the arrow stands on the left of the screen.
 */
function arrow(prompt) {
  const sign = byId("arrow");
  const pointed = ARROWS.includes(prompt);
  sign.hidden = !pointed;
  stage.classList.toggle("front", prompt === "front");
  if (!pointed || sign.dataset.prompt === prompt) return;
  sign.dataset.prompt = prompt;
  sign.className = `arrow ${prompt}`;
  fill(sign, icon(prompt === "closer" ? "closer" : "arrow"));
}

function dots(step, steps) {
  if (steps) byId("dots").setAttribute("aria-label", `Step ${Math.min(step + 1, steps)} of ${steps}`);
  fill(byId("dots"), ...Array.from({ length: steps }, (_, i) => element("li", { class: i < step ? "done" : i === step ? "now" : null })));
}

// ---- what happens ----

async function see() {
  if (close) return;
  close = await openCamera(video, () => {
    running?.abort();
    shut();
  });
  const shape = video.videoWidth / video.videoHeight;
  stage.style.setProperty("--shape", String(shape || 4 / 3));
  stage.classList.add("seeing");
}

function shut() {
  stage.classList.remove("seeing");
  close?.();
  close = null;
}

async function begin() {
  if (running) return;
  clearTimeout(timer);
  unwatch();
  byId("fault").textContent = "";
  running = new AbortController();
  seen = false;
  byId("begin").disabled = true;
  let last = null;
  try {
    await see();
    byId("begin").disabled = false;
    last = await attempt(video, tell, running.signal);
  } catch (error) {
    if (error instanceof ApiError) failed(error);
    else if (!(error instanceof DOMException)) throw error;
  } finally {
    byId("begin").disabled = false;
    running = null;
  }
  // Nobody was there: something moved, and the door goes on waiting.
  if (last && (seen || !KIOSK)) finish(last);
  else wait();
}

function failed(error) {
  byId("fault").textContent = error.status === 404 ? "This try is over. Begin again." : error.message;
}

function finish(last) {
  show(last.phase, { sentence: last.sentence });
  speak(last.sentence);
  if (last.phase === "refused" && !KIOSK) byId("begin").focus({ preventScroll: true });
  timer = setTimeout(() => {
    byId("fault").textContent = "";
    wait();
  }, 1000 * SHOWN);
}

/** Back to the beginning, if the door is open for a next try. */
async function wait() {
  clearTimeout(timer);
  let door;
  try {
    door = await get("/door");
  } catch (error) {
    byId("fault").textContent = error.message;
    show("closed", { sentence: "The door is not reached", hint: "" });
    timer = setTimeout(wait, 5000);
    return;
  }
  if (!door.ready) {
    shut();
    show("closed", { sentence: "The door is closed", hint: door.why });
    timer = setTimeout(wait, 15000);
  } else if (door.locked > 0) {
    shut();
    byId("fault").textContent = "";
    locked(performance.now() / 1000 + door.locked);
  } else if (KIOSK) {
    kiosk();
  } else {
    shut();
    const reason = noCamera();
    show(reason ? "closed" : "waiting", reason ? { sentence: "No camera here", hint: reason, sign: "camera" } : GREETING);
  }
}

function locked(until) {
  const left = until - performance.now() / 1000;
  if (left <= 0) {
    wait();
    return;
  }
  show("locked", { sentence: "Too many tries", hint: `The door can be tried again in ${clock(left)}.` });
  timer = setTimeout(locked, 1000, until);
}

/** At a door without a keyboard: the camera stays open, and whoever comes begins. */
async function kiosk() {
  try {
    await see();
  } catch (error) {
    show("closed", { sentence: "No camera here", hint: error.message, sign: "camera" });
    timer = setTimeout(wait, 10000);
    return;
  }
  show("waiting", KIOSK_GREETING);
  unwatch = whenSomebodyComes(video, begin);
}

async function start() {
  document.body.classList.toggle("kiosk", KIOSK);
  byId("begin").addEventListener("click", begin);
  byId("stop").addEventListener("click", () => running?.abort());
  byId("voice").checked = speaks();
  byId("voice").addEventListener("change", (event) => setSpeaking(event.target.checked));
  whenVoices(() => { byId("aloud").hidden = !canSpeak(); });
  window.addEventListener("pagehide", () => {
    running?.abort();
    shut();
  });
  await takeToken();
  await wait();
  if (!KIOSK) stayPresent();
}

start();
