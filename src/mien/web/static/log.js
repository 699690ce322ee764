/** Who came when, newest first, by day; and whether anybody touched the log. */

import { get, told } from "./api.js";
import { byId, element, fill } from "./element.js";
import { capital, day, time } from "./words.js";

const PAGE = 100;
const MOST = 1000;
const EVENTS = {
  admit: "Admitted", refuse: "Refused", deny: "Refused", enrol: "Enrolled", forget: "Forgotten", "rotate-key": "Key changed",
  "head-missing": "The log’s head was missing", verify: "Photos compared", add: "Photos added",
};
/** The codes of the log in an administrator's words; others are shown as they are. */
const REASONS = {
  live: "living, and known", unknown: "not in the database", stranger: "not in the database", locked: "locked after too many tries",
  late: "not in time", order: "pictures out of order", duplicate: "a picture sent twice", clock: "the camera’s clock jumped", gap: "the face was out of sight",
  flood: "too many pictures", several_faces: "not alone", another_face: "another face came in", flat: "turned like a sheet, not like a head",
  wrong_direction: "turned another way", early: "turned before being asked", attack: "looks like a picture of a face", not_live: "looks like a picture of a face",
  spoof: "looks like a picture of a face", error: "something failed", left: "went away", ended: "the camera ended", "no-face": "no face",
  replaced: "began anew", unfinished: "not to the end", unscored: "could not be judged", refused: "not admitted",
  unsure: "too close to call", ambiguous: "too close to call", quality: "the picture was not good enough",
};

let entries = [];
let limit = PAGE;
let ready = false;

export async function openLog() {
  if (!ready) {
    ready = true;
    byId("log-kind").addEventListener("change", draw);
    byId("log-find").addEventListener("input", draw);
    byId("verify").addEventListener("click", verify);
    byId("log-more").addEventListener("click", () => {
      limit = Math.min(MOST, limit * 3);
      load();
    });
  }
  await load();
}

const load = () => told(byId("log-fault"), async () => {
  ({ entries } = await get(`/audit?limit=${limit}`));
  draw();
});

/** came, not, kept or "" */
function kind(entry) {
  if (entry.event === "admit" || (entry.event === "identify" && entry.verdict === "known")) return "came";
  if (["refuse", "deny", "identify"].includes(entry.event)) return "not";
  return ["enrol", "add", "forget", "rotate-key"].includes(entry.event) ? "kept" : "";
}

function what(entry) {
  if (entry.event === "identify") return entry.verdict === "known" ? "Recognised" : "Not recognised";
  return EVENTS[entry.event] ?? capital(entry.event.replaceAll("-", " "));
}

const who = (entry) => entry.name ?? (entry.person ? "somebody since forgotten" : "");

function why(entry) {
  const code = entry.reason ?? (entry.verdict === "known" ? null : entry.verdict);
  return code ? REASONS[code] ?? code : "";
}

function draw() {
  const wanted = byId("log-find").value.trim().toLowerCase();
  const chosen = byId("log-kind").value;
  const found = entries.filter((entry) => (!chosen || kind(entry) === chosen)
    && (!wanted || `${who(entry)} ${entry.source ?? ""} ${what(entry)} ${why(entry)}`.toLowerCase().includes(wanted)));
  byId("log-more").hidden = entries.length < limit || limit >= MOST;
  if (!found.length) {
    const nothing = entries.length ? "Nothing of this kind." : "The log is empty: nobody came yet.";
    fill(byId("log"), element("tbody", {}, element("tr", {}, element("td", { class: "nobody" }, nothing))));
    return;
  }
  const days = byDay(found);
  fill(byId("log"),
    element("thead", {}, element("tr", {}, ...["Time", "What", "Who", "Why"].map((name) => element("th", { scope: "col" }, name)),
      element("th", { scope: "col", class: "least" }, "Camera"),
      element("th", { scope: "col", class: "number least", title: "From the nearest face enrolled; below the threshold is known" }, "Distance"))),
    ...[...days].map(([name, lines]) => element("tbody", {},
      element("tr", {}, element("th", { scope: "rowgroup", colspan: 6 }, name)), ...lines.map(line))));
}

function byDay(found) {
  const days = new Map();
  for (const entry of found) {
    const name = day(new Date(entry.time));
    days.set(name, [...(days.get(name) ?? []), entry]);
  }
  return days;
}

function line(entry) {
  const near = typeof entry.distance === "number" ? entry.distance.toFixed(3) : "";
  return element("tr", { class: kind(entry) || null },
    element("td", { title: `Entry ${entry.number}, ${entry.time}` }, time(entry.time)),
    element("td", { class: "what" }, what(entry)),
    element("td", { class: entry.name ? null : "faint", title: entry.person ? `Id ${entry.person}` : null }, who(entry)),
    element("td", { class: "faint" }, why(entry)),
    element("td", { class: "faint least" }, entry.source ?? ""),
    element("td", { class: "number faint least", title: near && typeof entry.tau === "number" ? `Known below ${entry.tau}` : null }, near));
}

async function verify() {
  byId("verify").disabled = true;
  await told(byId("log-fault"), async () => {
    const report = await get("/audit/verify");
    fill(byId("verified"), element("div", { class: report.whole ? "notice" : "notice fault" },
      element("p", {}, element("b", {}, report.sentence)), ...(report.notes ?? []).map((note) => element("p", {}, note))));
  });
  byId("verify").disabled = false;
}
