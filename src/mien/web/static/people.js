/** Who is enrolled: found by name, exported for them, forgotten on request. */

import { get, remove, request, told } from "./api.js";
import { byId, element, fill, icon, say } from "./element.js";
import { count, date } from "./words.js";

/** @type {{id: string, name: string, enrolled: string, consent: ?string, samples: number}[]} */
let people = [];
let ready = false;
const fault = byId("people-fault");

export async function openPeople() {
  if (!ready) byId("find").addEventListener("input", draw);
  ready = true;
  if (!people.length) fill(byId("people"), element("li", { class: "nobody" }, "One moment …"));
  const there = await told(fault, async () => {
    ({ people } = await get("/people"));
  });
  if (there) draw();
  else fill(byId("people"));
}

function draw() {
  const wanted = plain(byId("find").value.trim());
  const found = people.filter((person) => plain(person.name).includes(wanted));
  byId("people-count").textContent = wanted ? `${found.length} of ${people.length}` : people.length ? String(people.length) : "";
  byId("find").hidden = people.length < 2;
  fill(byId("people"), ...found.map(line));
  if (!found.length) fill(byId("people"), element("li", { class: "nobody" }, ...(people.length ? ["Nobody of this name."]
    : ["Nobody is enrolled yet. ", element("a", { href: "#enrol" }, "Enrol the first person"), "."])));
}

/** Without accents and case, so that Olafsson finds Ólafsson. */
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function line(person) {
  const about = [count(person.samples, "photo"), `since ${date(person.enrolled)}`, person.consent].filter(Boolean).join(" · ");
  return element("li", {},
    element("span", { class: "initial", "aria-hidden": "true" }, [...person.name][0] ?? ""),
    element("div", {}, element("div", { class: "who" }, person.name), element("div", { class: "faint small" }, about)),
    element("div", { class: "row" },
      element("button", { class: "button plain", type: "button", "aria-label": `Export what is kept about ${person.name}`, onclick: () => save(person) },
        icon("down"), element("span", { class: "long" }, "Export")),
      element("button", { class: "button plain", type: "button", "aria-label": `Forget ${person.name}`, onclick: () => forget(person) },
        icon("bin"), element("span", { class: "long" }, "Forget"))));
}

const save = (person) => told(fault, async () => {
  const response = await request("GET", `/people/${encodeURIComponent(person.id)}/export`, { whole: true });
  download(await response.blob(), `mien ${person.name}.json`);
  say(`Everything kept about ${person.name} was saved.`);
});

function download(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function forget(person) {
  const wrong = element("p", { class: "fault", role: "alert" });
  const box = element("dialog", { "aria-labelledby": "forget-title" },
    element("h2", { id: "forget-title" }, `Forget ${person.name}?`),
    element("p", {}, `The name and ${count(person.samples, "row")} of numbers are removed and overwritten. `
      + `This cannot be undone; the door will not know ${person.name} any more.`),
    wrong,
    element("div", { class: "row" },
      element("button", { class: "button", type: "button", autofocus: true, onclick: () => box.close() }, "Keep"),
      element("button", { class: "button grave", type: "button", onclick: async (event) => {
        event.target.disabled = true;
        let done = null;
        if (await told(wrong, async () => { done = await remove(`/people/${encodeURIComponent(person.id)}`); })) receipt(box, person, done);
        else event.target.disabled = false;
      } }, "Forget for good")));
  shown(box);
}

function receipt(box, person, done) {
  const text = done.receipt;
  fill(box, element("h2", { id: "forget-title", tabindex: "-1" }, done.complete === false ? "Forgotten, nearly" : "Forgotten"),
    element("p", { class: "receipt" }, text),
    element("div", { class: "row" },
      element("button", { class: "button", type: "button", onclick: () => download(new Blob([text], { type: "text/plain" }), "mien receipt.txt") },
        icon("down"), "Save the receipt"),
      element("button", { class: "button main", type: "button", onclick: () => box.close() }, "Done")));
  box.querySelector("h2").focus();
  people = people.filter((one) => one.id !== person.id);
  draw();
  box.addEventListener("close", () => byId("find").focus());
}

function shown(box) {
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
}
