/** The Studio: a photo, a style, and a painting that grows. */

import { about, ApiError, form, get, post, request, told } from "./api.js";
import { compare } from "./compare.js";
import { dials } from "./dials.js";
import { chosen, dropped, isPicture, pasted } from "./drop.js";
import { easel } from "./easel.js";
import { byId, element, say } from "./element.js";
import { drop, ended, jobKeeper, photoName } from "./jobs.js";
import { stayPresent } from "./presence.js";
import { takeToken } from "./session.js";
import { within } from "./shrink.js";
import { drawStrip } from "./strip.js";
import { stylePicker } from "./styles.js";
import { timeLeft } from "./words.js";

const faults = { photo: byId("photo-fault"), paint: byId("paint-fault"), made: byId("made-fault") };
const NO_PICTURE = "This is no picture. Bring a photo: JPEG, PNG, HEIC, WebP or TIFF.";

/** @type {{file: ?File, address: string, said: string}} what is to be painted */
const photo = { file: null, address: "", said: "" };
const jobs = jobKeeper("painting", changed, forgotten);
let current = null;
let limits = {};
let picker = null;
let board = null;
const wall = easel({ again, cancel, away, other: () => byId("photo").click() });

// ---- the photo ----

async function takePhoto([file]) {
  if (!isPicture(file)) {
    faults.photo.textContent = NO_PICTURE;
    return;
  }
  await told(faults.photo, async () => {
    const fitting = await within(file, limits);
    URL.revokeObjectURL(photo.address);
    Object.assign(photo, fitting, { address: URL.createObjectURL(fitting.file) });
    showPhoto();
    say(`Photo ${photo.file.name} is ready. ${fitting.said}`);
  });
}

function showPhoto() {
  current = null;
  jobs.show(null);
  faults.paint.textContent = "";
  document.title = "Studio · mien";
  if (photo.file) wall.photo(photo.address, photo.file.name, photo.said);
  else wall.nothing();
  strip();
  button();
}

// ---- painting ----

function button() {
  const shown = jobs.find(current);
  const busy = shown && !ended(shown);
  byId("paint").textContent = shown ? (busy ? "Paint it once more" : "Paint again") : "Paint";
}

async function paint(event) {
  event.preventDefault();
  if (!picker) return;
  const shown = jobs.find(current);
  const lacking = picker.missing();
  picker.fault(lacking);
  if (!photo.file && !shown) faults.paint.textContent = "Bring a photo first.";
  else faults.paint.textContent = lacking;
  if (faults.paint.textContent) return;
  const press = byId("paint");
  press.disabled = true;
  await told(faults.paint, async () => {
    const file = shown ? await fetched(shown) : photo.file;
    const styles = picker.chosen();
    const own = [];
    for (const style of styles.filter((one) => one.file)) own.push((await within(style.file, limits)).file);
    const job = await post("/paintings", {
      body: form({
        photo: file, styles: styles.filter((one) => !one.file).map((one) => one.name), style_files: own,
        weights: styles.length > 1 ? styles.map(picker.weight).join(",") : null, ...board.values(),
      }),
    });
    kept.set(job.id, { photo: file, own });
    jobs.add(job);
    show(job);
    byId("wall").scrollIntoView({ block: "nearest" });
    say("The painting has begun.");
  });
  press.disabled = false;
  press.focus({ preventScroll: true });
}

/** Files of jobs begun in this page; those of earlier ones are asked for from the server. */
const kept = new Map();

async function fetched(job) {
  if (kept.has(job.id)) return kept.get(job.id).photo;
  return sent(`/jobs/${job.id}/photo`, photoName(job));
}

/** A picture that was sent with an earlier job, back from the server. */
async function sent(path, name) {
  const blob = await (await request("GET", path, { whole: true })).blob();
  return new File([blob], name, { type: blob.type, lastModified: 0 });
}

/** The settings of a job go back onto the palette, to be changed. */
async function again(job) {
  await takeSettings(job);
  byId("styles").querySelector("input:checked, input")?.focus();
  byId("palette").scrollIntoView({ block: "nearest" });
}

async function takeSettings(job) {
  const { styles = [], weights, ...settings } = job.settings;
  board.set(settings);
  const names = styles.filter((name) => !name.startsWith("@"));
  let fault = "";
  try {
    const own = await Promise.all(names.map((name, i) => kept.get(job.id)?.own[i] ?? sent(`/jobs/${job.id}/styles/${i}`, name)));
    if (own.length) picker.take(own);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    fault = "Your own style picture is not here any more. Add it again.";
  }
  picker.choose(styles, weights);
  picker.fault(fault);
}

async function cancel(job) {
  await told(faults.paint, () => drop(job));
}

async function away(job) {
  if (!(await told(faults.made, () => drop(job)))) return;
  jobs.remove(job.id);
  forgotten(job.id);
  say(`${job.title} is deleted.`);
  byId("paint").focus({ preventScroll: true });
}

function forgotten(id) {
  kept.delete(id);
  if (current !== id) return strip();
  return rest();
}

/** What hangs there when nothing was chosen: what runs, else a photo that waits, else the newest painting. */
function rest() {
  const next = jobs.running() ?? (photo.file ? null : jobs.all()[0]);
  if (next) show(next);
  else showPhoto();
  return next;
}

// ---- what was made ----

function show(job) {
  current = job.id;
  jobs.show(job.id);
  faults.made.textContent = "";
  faults.photo.textContent = "";
  wall.job(job);
  title(job);
  strip();
  button();
}

function strip() {
  byId("made").hidden = jobs.all().length === 0;
  drawStrip(byId("strip"), jobs.all(), current, show, { label: "New photo", act: () => byId("photo").click() });
}

function changed(job) {
  if (job.id === current) {
    wall.job(job);
    title(job);
    button();
    announce(job);
  }
  strip();
}

function title(job) {
  const share = job.state === "running" ? `${Math.floor(100 * job.progress.fraction)} % · ` : job.state === "done" ? "Done · " : "";
  document.title = `${share}Studio · mien`;
}

/** Quarters are enough for whoever listens. */
let heard = "";
function announce(job) {
  if (job.state === "done") say("The painting is done.");
  if (job.state === "cancelled") say("The painting is cancelled.");
  const quarter = Math.floor(4 * job.progress.fraction);
  if (job.state !== "running" || quarter === 0 || heard === `${job.id} ${quarter}`) return;
  heard = `${job.id} ${quarter}`;
  say(`${25 * quarter} %, ${timeLeft(job.progress.remaining)}`);
}

// ---- the beginning ----

/** The first thing to be seen is a picture: what this room does, done once by mien itself. */
function example() {
  const pictures = { before: "/static/example-photo.jpg", after: "/static/example-painting.jpg", name: "A cat" };
  byId("example").append(compare(pictures), element("figcaption", { class: "faint small" }, "Painted by mien in the style of night."));
}

async function begin() {
  example();
  await takeToken();
  const intake = (files) => takePhoto(files);
  chosen(byId("photo"), intake);
  chosen(byId("shot"), intake);
  pasted(intake);
  dropped(document.querySelector(".easel"), intake, () => { faults.photo.textContent = NO_PICTURE; });
  dropped(document.body, intake);
  byId("palette").addEventListener("submit", paint);
  await told(faults.paint, async () => {
    const [{ limits: most, rooms }, { styles }, { options }] = await Promise.all([about(), get("/styles"), get("/options")]);
    limits = most;
    picker = stylePicker(styles, { most: most.styles ?? 4, changed: () => { faults.paint.textContent = ""; } });
    board = dials(byId("dials"), options);
    if (rooms.studio === false) {
      byId("paint").disabled = true;
      faults.paint.textContent = rooms.why?.studio ?? "This server cannot paint.";
    }
    await jobs.load();
    const shown = rest();
    stayPresent();
    if (shown) await takeSettings(shown);
  });
}

begin();
