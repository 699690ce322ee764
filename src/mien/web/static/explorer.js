/** The Explorer: pictures and a network in, a report on what its units respond to out. */

import { about, form, post, told } from "./api.js";
import { chosen, dropped, pasted } from "./drop.js";
import { byId, element, fill, icon, say } from "./element.js";
import { drop, ended, jobKeeper } from "./jobs.js";
import { layerChooser } from "./layers.js";
import { stayPresent } from "./presence.js";
import { takeToken } from "./session.js";
import { within } from "./shrink.js";
import { capital, count, date, lasted, time, timeLeft } from "./words.js";

const METHODS = {
  deconvnet: "Unpooled by the picture’s own switches and rectified (Zeiler & Fergus 2014): what of the patch the unit saw.",
  guided: "Guided backpropagation: clearer to look at, for more of the picture shines through; it says less about the unit alone.",
  both: "Deconvnet and guided backpropagation, side by side.",
  gradient: "The plain gradient: noisy, and the most literal.",
  none: "The patches alone: the quickest look.",
};

/** @type {{file: File, address: string}[]} */
let pictures = [];
const jobs = jobKeeper("look", changed, forgotten);
let current = null;
let limits = {};
let layers = () => [];
let growing = null;

// ---- the question ----

async function add(files) {
  const fault = byId("pictures-fault");
  const most = limits.pictures ?? 64;
  await told(fault, async () => {
    for (const file of files.slice(0, Math.max(0, most - pictures.length))) {
      const fitting = (await within(file, limits)).file;
      pictures.push({ file: fitting, address: URL.createObjectURL(fitting) });
    }
  });
  if (pictures.length >= most && files.length > 1) fault.textContent = `At most ${most} pictures at a time; these are the first.`;
  draw();
}

function draw() {
  fill(byId("chosen"), ...pictures.map((picture) => {
    const shown = element("img", { src: picture.address, alt: picture.file.name });
    shown.addEventListener("error", () => shown.replaceWith(element("span", { class: "blank" }, icon("picture"))), { once: true });
    return element("li", {}, shown, element("button", { type: "button", "aria-label": `Take ${picture.file.name} away`, onclick: () => {
      URL.revokeObjectURL(picture.address);
      pictures = pictures.filter((one) => one !== picture);
      draw();
    } }, icon("cross")));
  }));
  byId("go").textContent = pictures.length ? `Look at ${count(pictures.length, "picture")}` : "Look";
}

async function look(event) {
  event.preventDefault();
  const fault = byId("look-fault");
  const picked = layers();
  byId("pictures-fault").textContent = pictures.length ? "" : "Bring at least one picture; twenty or more tell more.";
  fault.textContent = "";
  if (!pictures.length) return;
  if (byId("layers").querySelector(".chip") && !picked.length) {
    fault.textContent = "Choose at least one layer.";
    return;
  }
  byId("go").disabled = true;
  await told(fault, async () => {
    const job = await post("/looks", {
      body: form({
        pictures: pictures.map((picture) => picture.file), model: byId("model").value, layers: picked.join(","), units: byId("units").value,
        method: byId("look").elements.method.value, top: Math.min(9, pictures.length),
      }),
    });
    jobs.add(job);
    show(job);
    say("The look has begun.");
  });
  byId("go").disabled = false;
  byId("go").focus({ preventScroll: true });
}

// ---- a look in the making, and its report ----

function show(job) {
  current = job.id;
  jobs.show(job.id);
  const done = job.state === "done" && job.report;
  byId("report").hidden = !done;
  byId("running").hidden = Boolean(done);
  byId("ask").hidden = Boolean(done);
  if (done) report(job);
  else if (ended(job)) stopped(job);
  else progress(job);
  list();
}

function ask() {
  current = null;
  jobs.show(null);
  byId("report").hidden = true;
  byId("running").hidden = true;
  byId("ask").hidden = false;
  fill(byId("report"));
  growing = null;
  list();
  document.title = "Explorer · mien";
}

function progress(job) {
  if (growing?.id !== job.id) {
    const bar = element("progress", { max: 1, "aria-label": "How far the look is" });
    const words = element("span", { class: "figures" });
    growing = { id: job.id, bar, words };
    fill(byId("running"), element("div", {}, element("span", { class: "title" }, job.title), bar,
      element("div", { class: "row" }, words, element("button", { class: "button push", type: "button", onclick: () => cancel(job) }, "Cancel"))));
    byId("running").scrollIntoView({ block: "nearest" });
  }
  const { fraction, remaining, words } = job.progress;
  if (job.state === "running" && fraction) growing.bar.value = fraction;
  else growing.bar.removeAttribute("value");
  growing.words.textContent = (job.state === "queued" ? [job.position ? `Waiting: ${job.position} before this one` : "Waiting: this one is next"]
    : [fraction ? `${Math.floor(100 * fraction)} %` : "Preparing", timeLeft(remaining), words]).filter(Boolean).join(" · ");
  document.title = `${job.state === "running" ? `${Math.floor(100 * fraction)} % · ` : ""}Explorer · mien`;
}

function stopped(job) {
  growing = null;
  document.title = "Explorer · mien";
  fill(byId("running"), element("div", {}, element("span", { class: "title" }, job.title),
    element("span", { class: job.state === "failed" ? "fault" : "faint", role: job.state === "failed" ? "alert" : null },
      job.state === "failed" ? job.error ?? "The look failed." : `Cancelled. ${job.error ?? ""}`.trim())));
}

function report(job) {
  growing = null;
  if (byId("report").dataset.id === job.id && byId("report").firstChild) return;
  byId("report").dataset.id = job.id;
  document.title = "Report · mien";
  fill(byId("report"),
    element("div", { class: "bar row" },
      element("div", {}, element("div", { class: "title" }, job.title), element("div", { class: "faint small" }, words(job))),
      element("span", { class: "row push" },
        element("a", { class: "button", href: job.report, target: "_blank", rel: "noopener" }, icon("open"), "In a new tab"),
        element("button", { class: "button main", type: "button", onclick: ask }, icon("plus"), "New look"))),
    element("iframe", { src: job.report, sandbox: "allow-scripts", title: `Report: ${job.title}` }));
  window.scrollTo({ top: 0 });
}

const cancel = (job) => told(byId("look-fault"), () => drop(job));

// ---- what was seen ----

function words(job) {
  const { layers: names = [], method } = job.settings;
  const which = names.length > 3 ? `${names.length} layers` : names.join(", ");
  return [which, method, job.seconds ? `in ${lasted(job.seconds)}` : ""].filter(Boolean).join(" · ");
}

function list() {
  byId("past").hidden = !jobs.all().length;
  fill(byId("looks"), ...jobs.all().map((job) => {
    const state = { done: `${date(job.created)}, ${time(job.created)}`, running: `${Math.floor(100 * job.progress.fraction)} %` }[job.state]
      ?? capital(job.state);
    return element("li", {},
      element("button", { class: "open", type: "button", "aria-current": job.id === current ? "true" : null, onclick: () => show(job) },
        element("b", {}, job.title), element("span", { class: "faint small figures" }, [state, words(job)].filter(Boolean).join(" · "))),
      element("button", {
        class: "button bare", type: "button", "aria-label": `${ended(job) ? "Delete" : "Cancel"} ${job.title}`, onclick: () => away(job),
      }, icon(ended(job) ? "bin" : "cross")));
  }));
}

async function away(job) {
  if (!(await told(byId("past-fault"), () => drop(job))) || !ended(job)) return;
  jobs.remove(job.id);
  forgotten(job.id);
  say(`${job.title} is deleted.`);
}

function forgotten(id) {
  if (current === id) ask();
  else list();
}

function changed(job) {
  if (job.id === current) show(job);
  else list();
  if (job.state === "done") say("The report is ready.");
}

// ---- the beginning ----

function settings(models) {
  const field = byId("model");
  fill(field, ...models.map(({ name }) => element("option", { value: name }, name === "vgg19" ? "VGG-19, trained on ImageNet" : name)));
  byId("model-field").hidden = models.length < 2;
  const pick = () => { layers = layerChooser(byId("layers"), models.find(({ name }) => name === field.value).layers); };
  field.addEventListener("change", pick);
  pick();
  const units = () => { byId("units-said").textContent = `the ${byId("units").value} clearest`; };
  byId("units").addEventListener("input", units);
  units();
  const method = () => { byId("method-words").textContent = METHODS[byId("look").elements.method.value]; };
  byId("method").addEventListener("change", method);
  method();
}

async function begin() {
  await takeToken();
  chosen(byId("pictures"), add);
  pasted(add);
  dropped(byId("ask"), add, () => { byId("pictures-fault").textContent = "These are no pictures. Bring JPEG, PNG, HEIC or the like."; });
  byId("look").addEventListener("submit", look);
  await told(byId("look-fault"), async () => {
    const { limits: most, rooms, models } = await about();
    limits = most;
    byId("most").textContent = `At most ${most.pictures} at a time.`;
    settings(models);
    if (!rooms.explorer) {
      byId("go").disabled = true;
      byId("look-fault").textContent = rooms.why?.explorer ?? "This server cannot look into networks.";
    }
    await jobs.load();
    stayPresent();
    const running = jobs.running();
    if (running) show(running);
    else list();
  });
}

begin();
