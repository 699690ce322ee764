/** Enrolling somebody, with their consent, from photos chosen or taken now. */

import { about, ApiError, form, post, told } from "./api.js";
import { openCamera, still } from "./camera.js";
import { chosen, dropped } from "./drop.js";
import { byId, element, fill, icon, say } from "./element.js";
import { within } from "./shrink.js";
import { count, listed } from "./words.js";

/** @type {{file: File, address: string}[]} */
let photos = [];
let ready = false;
let taken = 0;
const SHOT = { width: 1280, quality: 0.92 };

export function openEnrol() {
  if (ready) return;
  ready = true;
  chosen(byId("photos"), add);
  dropped(byId("photos-drop"), add, () => { byId("photos-fault").textContent = "This is no picture. Bring a photo: JPEG, PNG, HEIC or the like."; });
  byId("take").addEventListener("click", shoot);
  byId("enrol").addEventListener("submit", (event) => {
    event.preventDefault();
    enrol(false);
  });
}

async function add(files) {
  byId("enrol-done").replaceChildren();
  await told(byId("photos-fault"), async () => {
    const { limits } = await about();
    for (const file of files) {
      const fitting = (await within(file, limits)).file;
      photos.push({ file: fitting, address: URL.createObjectURL(fitting) });
    }
  });
  draw();
}

function draw() {
  fill(byId("photo-strip"), ...photos.map((photo, i) => {
    const picture = element("img", { src: photo.address, alt: `Photo ${i + 1}: ${photo.file.name}` });
    picture.addEventListener("error", () => picture.replaceWith(element("span", { class: "blank small" }, photo.file.name)), { once: true });
    return element("li", {}, picture,
      element("button", { type: "button", "aria-label": `Take photo ${i + 1} away`, onclick: () => drop(photo) }, icon("cross")));
  }));
}

function drop(photo) {
  URL.revokeObjectURL(photo.address);
  photos = photos.filter((one) => one !== photo);
  draw();
  byId("take").focus();
}

/** What is missing is said where it is missing. */
function complete() {
  const lacks = {
    "photos-fault": photos.length ? "" : "Bring at least one photo of this person.",
    "name-fault": byId("name").value.trim() ? "" : "Enter the name by which the door shall welcome them.",
    "consent-fault": byId("consent").checked ? "" : "Nobody is enrolled without having agreed. Ask them, and tick this.",
  };
  for (const [id, sentence] of Object.entries(lacks)) byId(id).textContent = sentence;
  const first = Object.keys(lacks).find((id) => lacks[id]);
  if (first) byId({ "photos-fault": "take", "name-fault": "name", "consent-fault": "consent" }[first]).focus();
  return !first;
}

async function enrol(more) {
  if (!complete()) return;
  const name = byId("name").value.trim();
  const press = byId("enrol-do");
  byId("enrol-done").replaceChildren();
  byId("enrol-fault").textContent = "";
  press.disabled = true;
  press.textContent = "Looking at the photos …";
  try {
    const done = await post("/people", {
      body: form({ name, photos: photos.map((photo) => photo.file), consent: "true", add: more ? "true" : "false", note: byId("note").value.trim() }),
    });
    finished(done);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    byId("enrol-fault").textContent = error.message;
    if (error.status === 409 && !more && error.message.includes("enrolled already")) {
      fill(byId("enrol-done"), element("button", { class: "button", type: "button", onclick: () => enrol(true) }, `Add these photos to ${name}`));
    }
  } finally {
    press.disabled = false;
    press.textContent = "Enrol";
  }
}

function finished(done) {
  const all = done.samples > done.added ? `, ${count(done.samples, "photo")} in all` : "";
  const alike = done.looks_like?.length
    ? element("p", {}, `This face looks much like ${listed(done.looks_like)}. If it is the same person, forget one of the two; `
      + "if not, the door may mistake them.") : null;
  const key = done.key_created
    ? element("p", {}, "A key was made for the gallery: ", element("code", {}, done.key_created),
      ". Keep a copy of it in a safe place; without it nobody can open the gallery.") : null;
  fill(byId("enrol-done"), element("div", { class: "notice" },
    element("p", {}, element("b", {}, `${done.name} is enrolled`), ` with ${count(done.added, "photo")}${all}.`), alike, key,
    element("p", {}, element("a", { href: "#people" }, "See everybody"), " or enrol the next person.")));
  for (const photo of photos) URL.revokeObjectURL(photo.address);
  photos = [];
  draw();
  byId("name").value = "";
  byId("note").value = "";
  byId("consent").checked = false;
  say(`${done.name} is enrolled.`);
}

/** Photos by the camera of this device, as many as wanted. */
async function shoot() {
  const video = element("video", { muted: true, playsinline: true, "aria-label": "Your camera, mirrored" });
  const fault = element("p", { class: "fault", role: "alert" });
  const told = element("p", { class: "faint small", role: "status" }, "Look at the camera, with light from the front.");
  let close = () => {};
  const snap = element("button", { class: "button main", type: "button", disabled: true, onclick: async () => {
    const blob = await still(video, SHOT);
    taken += 1;
    await add([new File([blob], `camera ${taken}.jpg`, { type: "image/jpeg" })]);
    told.textContent = `${count(photos.length, "photo")} so far. Turn your head a little for the next.`;
  } }, icon("camera"), "Take the photo");
  const box = element("dialog", { class: "shoot", "aria-label": "Take a photo" }, video, told, fault,
    element("div", { class: "row" }, element("button", { class: "button", type: "button", onclick: () => box.close() }, "Done"), snap));
  box.addEventListener("close", () => {
    close();
    box.remove();
  });
  document.body.append(box);
  box.showModal();
  try {
    const opened = await openCamera(video, () => box.close());
    if (!box.open) opened();
    close = opened;
    snap.disabled = false;
    snap.focus();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    fault.textContent = error.message;
  }
}
