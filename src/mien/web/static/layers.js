/** Choosing layers: VGG's stand as the network has them, block by block; of other networks they are listed or written. */

import { element, fill } from "./element.js";

const USUAL = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"];
const BLOCK = /^relu(\d)_(\d)$/;

/**
 * @param {HTMLFieldSetElement} place
 * @param {string[]} names the network's layers; none where the server does not know them
 * @returns {() => string[]} what is chosen
 */
export function layerChooser(place, names) {
  const legend = element("legend", {}, "Layers");
  if (!names.length) {
    const field = element("input", {
      type: "text", autocomplete: "off", "aria-label": "Layers, divided by commas", placeholder: "a few; or names, like relu2, relu4",
    });
    fill(place, legend, field);
    return () => field.value.split(/[,\s]+/).filter(Boolean);
  }
  const blocks = names.every((name) => BLOCK.test(name)) ? byBlock(names) : null;
  fill(place, legend, ...(blocks ? drawn(blocks) : [element("div", { class: "row" }, ...names.map((name) => chip(name, name)))]));
  return () => [...place.querySelectorAll("input:checked")].map((box) => box.value);
}

function byBlock(names) {
  const blocks = new Map();
  for (const name of names) {
    const block = BLOCK.exec(name)[1];
    blocks.set(block, [name, ...(blocks.get(block) ?? [])]);
  }
  return blocks;
}

function drawn(blocks) {
  const columns = [...blocks].map(([block, layers]) =>
    element("div", { role: "group", "aria-label": `Block ${block}` }, ...layers.map((name) => chip(name, name.replace("relu", "")))));
  return [
    element("div", { class: "blocks" }, ...columns),
    element("div", { class: "ends", "aria-hidden": "true" },
      element("span", {}, "near the pixels: edges, colours"), element("span", {}, "deep: parts of things")),
  ];
}

function chip(name, shown) {
  const box = element("input", { type: "checkbox", value: name, "aria-label": name });
  box.checked = USUAL.includes(name);
  return element("label", { class: "chip", title: name }, box, element("span", {}, shown));
}
