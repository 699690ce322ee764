/** How often the door errs, in sentences and as a curve, as it is. */

import { get, told } from "./api.js";
import { byId, element, fill } from "./element.js";

const GROUNDS = /^(Measured|The data support|Ranges are|Relatives|It is an average)|It is an average/;
const CURVE = "A curve: the more people are enrolled, the more often a stranger is taken for one of them. "
  + "The figures are in the sentences and in the table.";
let ready = false;

export async function openRisk() {
  if (!ready) {
    ready = true;
    byId("risk-form").addEventListener("submit", (event) => {
      event.preventDefault();
      reckon();
    });
  }
  await reckon();
}

const reckon = () => told(byId("risk-fault"), async () => {
  const asked = new URLSearchParams({ strangers: byId("strangers").value || "0" });
  if (byId("visits").value) asked.set("visits", byId("visits").value);
  const { sentences, rows } = await get(`/risk?${asked}`);
  const grounds = sentences.findIndex((sentence, i) => i > 0 && GROUNDS.test(sentence));
  fill(byId("risk-words"), ...sentences.map((sentence, i) => element("p", { class: grounds > 0 && i >= grounds ? "ground" : null }, sentence)));
  picture(rows.length ? `/api/v1/risk.png?${asked}` : "");
  byId("risk-more").hidden = !rows.length;
  if (rows.length) table(rows);
});

function picture(address) {
  const place = byId("risk-picture");
  if (!address) return fill(place);
  const drawn = element("img", { src: address, alt: CURVE });
  drawn.addEventListener("error", () => fill(place), { once: true });
  return fill(place, drawn);
}

function table(rows) {
  const names = ["People enrolled", "Strangers taken for one", "at today’s threshold", "Own people not recognised", "Strangers let in a year", "Known how"];
  fill(byId("risk-rows"),
    element("thead", {}, element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...rows.map((row) => element("tr", { class: row.now ? "now" : null },
      element("td", {}, `${row.people.toLocaleString("en")}${row.now ? " (now)" : ""}`),
      ...[row.let_in, row.unchanged, row.refused, row.a_year, row.known].map((cell) => element("td", {}, cell ?? "–"))))));
}
