/** The settings of a painting, drawn from what the server offers and said in a painter's words. */

import { element } from "./element.js";

const SIZES = [128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096];
const COLOURS = { style: "the style’s", luminance: "the photo’s own", linear: "the photo’s, mixed gently", histogram: "the photo’s, mixed fully" };
const COLOUR_WORDS = {
  style: "The painting takes on the style’s colours.",
  luminance: "Only light and dark are painted; every colour stays the photo’s.",
  linear: "The style is recoloured first, so that its mean colour and its spread are the photo’s.",
  histogram: "The style is recoloured first, so that its whole palette is the photo’s.",
};

/**
 * @typedef {{name: string, help: string, default: any, choices: string[], low: ?number, high: ?number}} Option
 * @typedef {{row: HTMLElement, read: () => any, write: (value: any) => void}} Dial
 */

/**
 * @param {HTMLElement} place
 * @param {Option[]} options as the server's record has them; a dial is shown for those it knows
 */
export function dials(place, options) {
  const by = Object.fromEntries(options.map((option) => [option.name, option]));
  /** @type {Record<string, Dial>} */
  const made = {};
  if (by.strength) made.strength = strength(by.strength);
  if (by.size) made.size = size(by.size);
  if (by.colour) made.colour = colour(by.colour);
  if (by.preview) made.preview = draft(by.preview);
  place.append(...Object.values(made).map((dial) => dial.row));
  const finer = {};
  if (by.style_scale) finer.style_scale = scale(by.style_scale);
  if (by.seed) finer.seed = seed(by.seed);
  if (Object.keys(finer).length) {
    place.append(element("details", {}, element("summary", {}, "Finer settings"), ...Object.values(finer).map((dial) => dial.row)));
  }
  const all = { ...made, ...finer };
  return {
    values: () => Object.fromEntries(Object.entries(all).map(([name, dial]) => [name, dial.read()])),
    set(values) {
      for (const [name, dial] of Object.entries(all)) if (values[name] !== undefined && values[name] !== null) dial.write(values[name]);
    },
  };
}

/** A slider with its name, its value in words and what its two ends mean. */
function slider({ id, name, help, low, high, step, value, ends, words, read = Number, write = String }) {
  const output = element("output", { for: id });
  const input = element("input", { type: "range", id, min: low, max: high, step, title: help });
  const show = () => {
    output.textContent = words(read(input.value));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", show);
  input.value = write(value);
  show();
  const row = element("div", { class: "dial" },
    element("div", { class: "head" }, element("label", { class: "label", for: id }, name), output), input,
    ends && element("div", { class: "ends", "aria-hidden": "true" }, element("span", {}, ends[0]), element("span", {}, ends[1])));
  return { row, read: () => read(input.value), write: (next) => { input.value = write(next); show(); } };
}

function strength(option) {
  return slider({
    id: "strength", name: "Strength", help: option.help, low: 0, high: 100, step: 1, value: option.default, ends: ["the photo", "the style"],
    words: (value) => (value === 0.5 ? "balanced" : `${Math.round(100 * value)} %`),
    read: (text) => Number(text) / 100, write: (value) => String(Math.round(100 * value)),
  });
}

function size(option) {
  const [low, high] = [option.low ?? 16, option.high ?? 2048];
  const offered = [...new Set([...SIZES, option.default])].filter((side) => side >= low && side <= high).sort((a, b) => a - b);
  const nearest = (side) => offered.reduce((best, one, i) => (Math.abs(one - side) < Math.abs(offered[best] - side) ? i : best), 0);
  return slider({
    id: "size", name: "Size", help: option.help, low: 0, high: offered.length - 1, step: 1, value: option.default,
    ends: ["sooner done", "finer"], words: (side) => `${side} px, the long side`,
    read: (text) => offered[Number(text)], write: (side) => String(nearest(side)),
  });
}

function scale(option) {
  const low = Math.max(option.low ?? 0.25, 0.25);
  const high = Math.min(option.high ?? 4, 4);
  return slider({
    id: "style-scale", name: "Brush", help: option.help, low: Math.log2(low), high: Math.log2(high), step: 0.25, value: option.default,
    ends: ["fine strokes", "broad strokes"], words: (value) => (value === 1 ? "as in the style" : `× ${value.toFixed(2)}`),
    read: (text) => Number((2 ** Number(text)).toFixed(3)), write: (value) => String(Math.log2(value)),
  });
}

function colour(option) {
  const words = element("p", { class: "faint small", id: "colour-words" });
  const field = element("select", { id: "colour", "aria-describedby": "colour-words", title: option.help },
    ...option.choices.map((name) => element("option", { value: name }, COLOURS[name] ?? name)));
  const show = () => { words.textContent = COLOUR_WORDS[field.value] ?? ""; };
  field.addEventListener("change", show);
  field.value = option.default;
  show();
  const row = element("div", { class: "field" }, element("label", { for: "colour" }, "Colours"), field, words);
  return { row, read: () => field.value, write: (value) => { field.value = value; show(); } };
}

function draft(option) {
  const box = element("input", { type: "checkbox" });
  box.checked = Boolean(option.default);
  const row = element("label", { class: "tick" }, box,
    element("span", {}, "Quick draft", element("small", {}, "Rough and small, in a few seconds: to try styles out.")));
  return { row, read: () => box.checked, write: (value) => { box.checked = Boolean(value); } };
}

function seed(option) {
  const field = element("input", { type: "number", id: "seed", min: option.low ?? 0, step: 1, inputmode: "numeric", title: option.help });
  field.value = String(option.default);
  const row = element("div", { class: "field" }, element("label", { for: "seed" }, "Chance"), field,
    element("p", { class: "faint small" }, "The same number draws the built-in styles the same way again; another varies them."));
  return { row, read: () => Number.parseInt(field.value, 10) || 0, write: (value) => { field.value = String(value); } };
}
