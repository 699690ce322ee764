"use strict";
const R = JSON.parse(document.getElementById("findings").textContent);
const main = document.querySelector("main"), view = document.getElementById("view"), dialog = document.querySelector("dialog");
const COLOURS = ["#ff5a36", "#ffb000", "#3ddc84", "#36a2ff", "#c86bff", "#ff6bc1", "#9be564", "#00c2c7"];
const MEANING = {
  deconvnet: "Deconvnet: unpooled by the picture's own switches, rectified, filtered back (Zeiler & Fergus 2014). In deep layers it is textured by dots: only what the switches let through is left.",
  guided: "Guided backpropagation: as the deconvnet, and also only where the unit below fired. Clearer to look at, because more of the picture itself shines through; it says less about the unit alone.",
  gradient: "Plain gradient: how the activation would change with each pixel. Noisy; the most literal of the three.",
};
let method = R.methods[0] || null;

// ---- small things ----

function h(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) e.setAttribute(key, value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

const number = (x) => (Math.abs(x) >= 1000 ? Math.round(x).toLocaleString("en") : String(+x.toPrecision(3)));
const percent = (x) => `${Math.round(100 * x)} %`;

const addresses = new Map();
function address(id) {
  if (!addresses.has(id)) {
    const kept = document.getElementById(id);
    if (!kept) return "";
    const bytes = Uint8Array.from(atob(kept.textContent), (c) => c.charCodeAt(0));
    addresses.set(id, URL.createObjectURL(new Blob([bytes], { type: kept.dataset.type })));
    kept.remove();
  }
  return addresses.get(id);
}

// Pictures are unpacked when they come near the screen, not before.
const waiting = new Map();
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) {
    watcher.unobserve(entry.target);
    waiting.get(entry.target)();
    waiting.delete(entry.target);
  }
}, { rootMargin: "400px" });
function soon(e, act) { waiting.set(e, act); watcher.observe(e); return e; }

// ---- tiles ----

const across = Math.max(1, Math.ceil(Math.sqrt(R.top))), down = Math.ceil(R.top / across);
const layerOf = (name) => R.layers.findIndex((layer) => layer.name === name);
const place = (at, of) => (of > 1 ? (100 * at) / (of - 1) : 0);

function spriteOf(li, name, row) {
  const live = R.layers[li].live, first = row - (row % 16), blocks = Math.min(16, live - first), wide = Math.min(4, blocks);
  return { id: `v${li}-${name}-${first / 16}`, wide, high: Math.ceil(blocks / wide), x: (row % 16) % wide, y: Math.floor((row % 16) / wide) };
}

function paint(e, id, wide, high, x, y) {
  e.style.backgroundImage = `url(${address(id)})`;
  e.style.backgroundSize = `${100 * wide}% ${100 * high}%`;
  e.style.backgroundPosition = `${place(x, wide)}% ${place(y, high)}%`;
}

function cut(e, patch) {  // a patch out of the input's own picture
  const [source, , y0, x0, y1, x1] = patch, [, , height, width] = R.inputs[source];
  const across = (at, extent, size) => (100 * at) / (extent + 0.001 - size);
  e.style.backgroundImage = `url(${address("p" + source)})`;
  e.style.backgroundSize = `${(100 * width) / (x1 - x0)}% ${(100 * height) / (y1 - y0)}%`;
  e.style.backgroundPosition = `${across(x0, width, x1 - x0)}% ${across(y0, height, y1 - y0)}%`;
}

// All tiles of a unit in one element, or one element each where patches are cut out of the inputs.
function block(li, row, name) {
  const layer = R.layers[li], [high, wide] = layer.tile, sharp = Math.max(high, wide) <= 32 ? " sharp" : "";
  const e = h("span", { class: "block lines" + sharp, style: `aspect-ratio: ${across * wide} / ${down * high}; --across: ${across}; --down: ${down}` });
  if (name === "patches" && layer.cut) {
    e.style.gridTemplateColumns = `repeat(${across}, 1fr)`;
    for (const patch of layer.units[row][5]) {
      const part = h("span", { class: "cut", style: `aspect-ratio: ${wide} / ${high}` });
      soon(part, () => cut(part, patch));
      e.append(part);
    }
    return e;
  }
  const s = spriteOf(li, name, row);
  return soon(e, () => paint(e, s.id, s.wide, s.high, s.x, s.y));
}

function tile(li, row, name, rank) {
  const layer = R.layers[li], [high, wide] = layer.tile, sharp = Math.max(high, wide) <= 32 ? " sharp" : "";
  const e = h("span", { class: "block" + sharp, style: `aspect-ratio: ${wide} / ${high}` });
  if (name === "patches" && layer.cut) { cut(e, layer.units[row][5][rank]); return e; }
  const s = spriteOf(li, name, row);
  paint(e, s.id, s.wide * across, s.high * down, s.x * across + (rank % across), s.y * down + Math.floor(rank / across));
  return e;
}

// A signal's trace and projection are one picture, so there is one view of it.
const views = () => (R.dims === 1 ? [method || "patches"] : method ? ["patches", method] : ["patches"]);
const stacked = () => R.dims === 3 || views().length === 1;

// ---- cards ----

function card(li, row, mini) {
  const layer = R.layers[li], unit = layer.units[row];
  const [u, max, mean, share, , top, classes] = unit;
  const label = `${layer.name}:${u}`;
  const e = h("button", { class: "card" + (stacked() ? " one" : ""), type: "button", "aria-label": `unit ${label}, maximum ${number(max)}`, onclick: () => open(li, row, 0) });
  if (!top.length) {
    e.append(h("span", { class: "cap" }, h("b", {}, label), h("span", {}, "dead: it fired for none of the inputs")));
    e.disabled = true;
    return e;
  }
  const pair = h("span", { class: "pair" });
  for (const name of mini && R.dims === 2 ? ["patches"] : views()) pair.append(block(li, row, name));
  if (mini && R.dims === 2) e.classList.add("one");
  e.append(pair, h("span", { class: "cap" }, h("b", {}, mini ? `unit ${u}` : label),
    mini ? null : h("span", {}, `max ${number(max)} · mean ${number(mean)} · fires in ${percent(share)}`)));
  if (classes.length) {
    const many = classes.slice(0, mini ? 1 : 3).map(([name, n]) => `${name || "no class"} ${percent(n / top.length)}`);
    e.append(h("span", { class: "classes" }, many.join(" · ")));
  }
  return e;
}

// ---- one unit, closely ----

function boxes(height, width, drawn) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  for (const [y0, x0, y1, x1, colour] of drawn) for (const [stroke, thick] of [["#000", 4], [colour, 2]]) {
    const r = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of Object.entries({ x: x0, y: y0, width: x1 - x0, height: y1 - y0, fill: "none", stroke, "stroke-width": thick, "vector-effect": "non-scaling-stroke" })) r.setAttribute(key, value);
    svg.append(r);
  }
  return svg;
}

function picture(source, drawn) {  // an input with windows drawn on it; drawn: [y0, x0, y1, x1, colour] in its own places
  const [name, , height, width] = R.inputs[source];
  const e = h("span", { class: "picture" }, h("img", { src: address("p" + source), alt: name, class: Math.max(height, width) <= 64 ? "sharp" : null }));
  e.append(boxes(R.dims === 1 ? 1 : height, width, drawn));
  return e;
}

function open(li, row, rank) {
  const layer = R.layers[li], [u, max, mean, share, , top, classes] = layer.units[row];
  const patch = top[rank], [source, value, y0, x0, y1, x1] = patch, [name, label] = R.inputs[source];
  const many = views(), seen = h("div", { class: "seen" + (stacked() ? " single" : "") + (R.dims === 1 ? " narrow" : "") });
  for (const v of many) seen.append(h("figure", {}, tile(li, row, v, rank), h("figcaption", {}, v === "patches" ? "patch" : R.dims === 1 ? `trace and ${v}` : v)));
  const facts = { activation: `${number(value)}, number ${rank + 1} of ${R.seen.toLocaleString("en")} inputs`, file: name, class: label || null, window: where(patch) };
  const list = h("dl", {});
  for (const [key, text] of Object.entries(facts)) if (text) list.append(h("dt", {}, key), h("dd", {}, text));
  seen.append(list);
  const drawn = R.dims === 1 ? [0.02, patch[2], 0.98, patch[3]] : [y0, x0, y1, x1];
  const detail = h("div", { class: "detail" + (R.dims === 2 ? "" : " tall") }, R.dims === 3 ? null : picture(source, [[...drawn, "#ff5a36"]]), seen);
  const thumbs = h("div", { class: "thumbs" });
  top.forEach((_, i) => thumbs.append(h("button", { type: "button", "aria-pressed": String(i === rank), "aria-label": `patch ${i + 1}`, onclick: () => open(li, row, i) }, tile(li, row, many[0], i))));
  const shares = classes.length ? `; of its best: ${classes.map(([c, n]) => `${c || "no class"} ${percent(n / top.length)}`).join(", ")}` : "";
  dialog.replaceChildren(
    h("header", {}, h("div", {}, h("h2", {}, `${layer.name}:${u}`), h("p", { class: "faint" }, `maximum ${number(max)}, mean ${number(mean)}, fires in ${percent(share)} of the inputs${shares}`)),
      h("button", { class: "close", type: "button", onclick: () => dialog.close() }, "Close")), detail, thumbs);
  dialog.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) { event.preventDefault(); open(li, row, (rank + step + top.length) % top.length); }
  };
  dialog.style.setProperty("--thumb", R.dims === 2 ? "4.6rem" : "8rem");
  if (!dialog.open) dialog.showModal();
  const pressed = dialog.querySelector(".thumbs [aria-pressed=true]");
  if (pressed) pressed.focus({ preventScroll: true });
}

function where(patch) {
  const ends = patch.slice(2), n = ends.length / 2, seconds = R.dims === 1 && R.rate;
  const spans = Array.from({ length: n }, (_, i) => seconds ? `${number(ends[i] / R.rate)} to ${number(ends[i + n] / R.rate)} s` : `${ends[i]} to ${ends[i + n] - 1}`);
  const axes = { 1: [""], 2: ["rows ", "columns "], 3: ["slices ", "rows ", "columns "] }[R.dims];
  return spans.map((s, i) => axes[i] + s).join(", ");
}

// ---- pages ----

function methods(redraw) {
  if (R.methods.length < 2) return null;
  const choice = h("select", { onchange: (event) => { method = event.target.value; redraw(); } });
  for (const m of R.methods) choice.append(h("option", { value: m, ...(m === method ? { selected: "" } : {}) }, m));
  return h("label", {}, "projections", choice);
}

function cardWidth() { return R.dims === 1 ? "28rem" : R.dims === 3 ? "30rem" : views().length === 2 ? "19rem" : "11rem"; }

function overview() {
  const rows = R.layers.map((layer, li) => {
    const row = h("div", { class: "row" });
    for (const u of layer.clearest) row.append(card(li, layer.units.findIndex((unit) => unit[0] === u), true));
    return h("section", { class: "strip" }, h("div", {}, h("h3", {}, h("a", { href: `#layer/${layer.name}` }, layer.name)),
      h("p", { class: "faint" }, `sees ${layer.window}`)), row);
  });
  const strip = h("div", { style: `--mini: ${R.dims === 2 ? "8.6rem" : "19rem"}` }, ...rows);
  return [h("h2", {}, R.dims === 2 ? "From edges to objects" : "From first to last"),
    h("p", {}, `Each row is a layer of ${R.network}, the first on top. Each square shows the ${R.top} patches, out of ${R.seen.toLocaleString("en")} inputs, that excite one unit most. Shown are the units whose best stand clearest above the average input${R.dims === 2 ? ", and those whose patches are most alike in shape" : ""}.`), strip];
}

function layerPage(li) {
  const layer = R.layers[li], order = h("select", {}), cards = h("div", { class: "cards" });
  const sorts = { number: (u) => u[0], clearness: (u) => -u[4], maximum: (u) => -u[1], "fires in few": (u) => u[3] };
  for (const name of Object.keys(sorts)) order.append(h("option", {}, name));
  const draw = () => {
    cards.style.setProperty("--card-width", cardWidth());
    const rows = layer.units.map((unit, row) => [unit[5].length ? 0 : 1, sorts[order.value](unit), row]);
    rows.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    cards.replaceChildren(...rows.map(([, , row]) => card(li, row)));
    meaning.textContent = method ? MEANING[method] : "";
  };
  const meaning = h("p", { class: "faint" });
  order.addEventListener("change", draw);
  draw();
  const said = `${layer.count} units${layer.units.length < layer.count ? `, ${layer.units.length} of them shown` : ""}; ${layer.dead} dead. Each sees ${layer.window}${layer.stride ? `, at every ${layer.stride}` : ""}.`;
  const left = R.dims === 1 ? "Each picture is a stretch of a signal with the unit's window shaded" + (method ? ", and below it the projection." : ".")
    : "Left the patches, right what in them the unit saw, where 0 is mid grey.";
  return [h("h2", {}, layer.name), h("p", {}, said, layer.note ? ` ${layer.note}.` : ""), h("p", { class: "faint" }, R.dims === 1 || !method ? left : R.dims === 3 ? "Three slices through the window's middle; above the data, below the projection." : left), meaning,
    h("div", { class: "bar" }, h("label", {}, "sorted by", order), methods(draw)), cards];
}

function fields() {
  const table = h("table", {}, h("tr", {}, ...["layer", "size", "stride", "first pixel", ""].map((t) => h("th", {}, t))));
  const shown = new Set(R.layers.map((layer) => layer.name));
  for (const row of R.fields) table.append(h("tr", shown.has(row.layer) ? { class: "shown" } : {}, h("td", {}, row.layer), h("td", {}, row.size), h("td", {}, row.stride), h("td", {}, row.start.replaceAll(" ×", ",").replaceAll("-", "−")), h("td", {}, row.note)));
  const parts = [h("h2", {}, "Receptive fields"), h("p", {}, "How much of the input one position of a layer sees. Each filter of width k adds (k − 1) × stride to the size, and each stride s multiplies the stride; a padding p moves the first pixel back by p × stride.")];
  const side = h("div", { class: "side" });
  if (R.dims < 3 && R.windows.length) {
    const drawn = R.windows.map(([, ...box], i) => [...(R.dims === 1 ? [0.03 * (i + 1), box[0], 1 - 0.03 * (i + 1), box[1]] : box), COLOURS[i % COLOURS.length]]).reverse();
    const legend = h("div", { class: "legend" });
    R.windows.forEach(([name], i) => legend.append(h("span", {}, h("i", { style: `border-color: ${COLOURS[i % COLOURS.length]}` }), name)));
    side.append(h("figure", { style: `width: ${R.dims === 1 ? "44rem" : "24rem"}` }, picture(R.example, drawn), legend, h("figcaption", {}, `The window of the middle position of each layer, on ${R.inputs[R.example][0]}.`)));
  }
  side.append(h("div", { class: "wide" }, table));
  parts.push(side);
  if (document.getElementById("filters")) parts.push(h("h3", {}, `The filters of ${R.filters}`), h("p", {}, "What the first layer multiplies the input with, one square a unit; grey is 0. Each is drawn with its own contrast."), h("figure", {}, h("img", { src: address("filters"), alt: "the first layer's filters" })));
  return parts;
}

function gram() {
  const parts = [h("h2", {}, "Gram matrices"), h("p", {}, `Of ${R.inputs[R.example] ? R.inputs[R.example][0] : "one input"}. G[k, k′] = Σ over positions of a[k] · a[k′]. On the diagonal stands how active a unit is, off it how strongly two units fire at the same places: which features occur together, which is what style transfer calls style. Drawn are the most active units, the most active first, as square roots, so that the weak ones show too.`)];
  R.layers.forEach((layer, li) => {
    const g = R.gram[layer.name];
    if (!g) return;
    const cards = h("div", { class: "row", style: `--mini: ${R.dims === 2 ? "8.6rem" : "19rem"}` });
    for (const u of new Set([...g.pair, ...g.closest])) {
      const row = layer.units.findIndex((unit) => unit[0] === u && unit[5].length);
      if (row >= 0) cards.append(card(li, row, true));
    }
    const say = h("div", { class: "say" }, ...g.say.map((text) => h("p", {}, text)), cards);
    const map = h("figure", {}, h("img", { src: address(`g${li}`), alt: `the Gram matrix at ${layer.name}` }), h("figcaption", {}, `${g.shown} of ${layer.count} units; dark is 0`));
    const both = document.getElementById(`t${li}`) || addresses.has(`t${li}`) ? h("figure", {}, h("img", { src: address(`t${li}`), alt: "where both fire" }), h("figcaption", {}, `where units ${g.pair[0]} and ${g.pair[1]} both fire`)) : null;
    parts.push(h("section", { class: "gram" }, h("h3", {}, layer.name), h("div", { class: "side" }, map, both, say)));
  });
  return parts;
}

const LIMIT = 120;
function search(text) {
  const wanted = text.trim().toLowerCase(), found = [], exact = /^(.+):(\d+)$/.exec(text.trim());
  R.layers.forEach((layer, li) => layer.units.forEach((unit, row) => {
    const byName = exact ? layer.name.toLowerCase() === exact[1].toLowerCase() && unit[0] === +exact[2] : false;
    const hits = unit[5].filter(([source]) => R.inputs[source].slice(0, 2).some((t) => t.toLowerCase().includes(wanted))).length;
    if (byName || (hits && !exact)) found.push([byName ? Infinity : hits, li, row]);
  }));
  found.sort((a, b) => b[0] - a[0]);
  const cards = h("div", { class: "cards" }, ...found.slice(0, LIMIT).map(([, li, row]) => card(li, row)));
  cards.style.setProperty("--card-width", cardWidth());
  const what = found.length ? `${found.length} ${found.length === 1 ? "unit" : "units"}${found.length > LIMIT ? `, the first ${LIMIT} of them here` : ""}; those with the most such patches first.` : "No unit. Search for layer:unit, a class, or a file's name.";
  return [h("h2", {}, `“${text.trim()}”`), h("p", {}, what), cards];
}

function about() {
  const said = [`${R.network}, shown ${R.data || "data"}: ${R.seen.toLocaleString("en")} of ${R.total.toLocaleString("en")} inputs.`,
    `For each unit and each input the largest activation over all positions is taken first, then the ${R.top} largest over the inputs: no two patches of a unit come from one input. Each patch is the unit's receptive field at that position; over the input's edge it is grey. Equal activations are told apart by the input's place in the list.`,
    "Maximum: the largest activation over all inputs. Mean: of each input's largest. Fires in: the share of inputs in which the unit is above 0 somewhere. Dead: it fired in none. Clearness: 1 − mean / mean of the best.",
    "A projection starts from that one activation, with all others of its layer set to 0, and is signed: mid grey is 0, and each has its own contrast."];
  return [h("h2", {}, "How to read this"), ...said.map((t) => h("p", {}, t)), ...R.methods.map((m) => h("p", {}, MEANING[m])), h("p", { class: "faint" }, "Beside this page lie a contact sheet of each layer, units.csv and report.json. Arrow keys leaf through a unit's patches.")];
}

// ---- the frame ----

const pages = { overview, fields, gram, about };
function show() {
  const [page, ...rest] = decodeURIComponent(location.hash.slice(1) || "overview").split("/"), argument = rest.join("/");
  let parts;
  if (page === "layer" && layerOf(argument) >= 0) parts = layerPage(layerOf(argument));
  else if (page === "search") parts = search(argument);
  else parts = (pages[page] || overview)();
  view.replaceChildren(...R.notes.map((note) => h("p", { class: "note" }, note)), ...parts);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === (location.hash || "#overview")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  window.scrollTo(0, 0);
}

const list = document.querySelector("nav .list");
list.append(h("a", { href: "#overview" }, R.dims === 2 ? "From edges to objects" : "From first to last"));
R.layers.forEach((layer) => list.append(h("a", { href: `#layer/${encodeURIComponent(layer.name)}` }, layer.name,
  h("small", {}, `sees ${layer.window}${layer.stride ? `, stride ${layer.stride}` : ""}`), h("small", {}, `${layer.count} units, ${layer.dead} dead`))));
list.append(h("a", { href: "#fields" }, "Receptive fields, filters"), Object.keys(R.gram).length ? h("a", { href: "#gram" }, "Gram matrices") : "", h("a", { href: "#about" }, "How to read this"));
document.getElementById("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = event.target.elements.q.value;
  location.hash = text.trim() ? `#search/${encodeURIComponent(text)}` : "#overview";
});
window.addEventListener("hashchange", show);
show();
