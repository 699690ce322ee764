/** The grid of style pictures: built-in ones and one's own, several at once, each with its share. */

import { chosen, dropped } from "./drop.js";
import { byId, element, fill, icon } from "./element.js";
import { listed, plainName } from "./words.js";

const EVEN = 50; // the share of a style that nobody has moved

/** @typedef {{name: string, label: string, sentence: string, picture: string, file: ?File}} Style */

/**
 * @param {{name: string, sentence: string, picture: string}[]} offered the built-in styles
 * @param {{most: number, changed: () => void}} what most: how many may be mixed
 */
export function stylePicker(offered, { most, changed }) {
  /** @type {Style[]} */
  const styles = offered.map((style) => ({ ...style, label: style.name.replace(/^@/, ""), file: null }));
  const shares = new Map();
  const picked = new Set();
  const fault = byId("style-fault");
  const words = byId("style-words");

  const inOrder = () => styles.filter((style) => picked.has(style.name));

  function draw() {
    fill(byId("styles"), ...styles.map(swatch));
    tell();
  }

  function swatch(style) {
    const box = element("input", { type: "checkbox", value: style.name, "aria-label": `${style.label}: ${style.sentence}` });
    box.checked = picked.has(style.name);
    box.addEventListener("change", () => {
      if (!pick(style, box.checked)) box.checked = false;
    });
    const away = style.file && element("button", {
      class: "away", type: "button", "aria-label": `Take ${style.label} away`, onclick: () => takeAway(style),
    }, icon("cross"));
    const described = () => { words.textContent = style.sentence; };
    return element("div", { class: "swatch", title: style.sentence, onmouseenter: described, onmouseleave: tell },
      box, element("img", { src: style.picture, alt: "", loading: "lazy", draggable: "false" }),
      element("span", { class: "name", "aria-hidden": "true" }, style.label),
      element("span", { class: "mark", "aria-hidden": "true" }, icon("check")), away);
  }

  function pick(style, on) {
    fault.textContent = "";
    if (on && picked.size >= most) {
      fault.textContent = `At most ${most} styles can be mixed. Take one out first.`;
      return false;
    }
    if (on) picked.add(style.name);
    else picked.delete(style.name);
    tell();
    changed();
    return true;
  }

  function takeAway(style) {
    styles.splice(styles.indexOf(style), 1);
    picked.delete(style.name);
    URL.revokeObjectURL(style.picture);
    draw();
    changed();
    byId("styles").querySelector("input")?.focus();
  }

  function tell() {
    const mixed = inOrder();
    words.textContent = mixed.length === 1 ? mixed[0].sentence
      : mixed.length ? `A mixture of ${listed(mixed.map((style) => style.label))}.`
        : "Its strokes and its colours go over to your photo.";
    const place = byId("mix");
    place.hidden = mixed.length < 2;
    fill(place, element("span", { class: "label" }, "How much of each"), ...mixed.map((style) => share(style)));
    percentages();
  }

  function share(style) {
    const slider = element("input", { type: "range", min: 0, max: 100, step: 5, "aria-label": `Share of ${style.label}` });
    slider.value = String(shares.get(style.name) ?? EVEN);
    slider.addEventListener("input", () => {
      shares.set(style.name, Number(slider.value));
      percentages();
      changed();
    });
    return element("div", { class: "share", "data-style": style.name },
      element("img", { src: style.picture, alt: "", title: style.label }), slider, element("output", {}));
  }

  function percentages() {
    const mixed = inOrder();
    const sum = mixed.reduce((all, style) => all + (shares.get(style.name) ?? EVEN), 0);
    byId("mix").querySelectorAll(".share").forEach((row, i) => {
      const part = sum ? Math.round((100 * (shares.get(mixed[i].name) ?? EVEN)) / sum) : 0;
      row.querySelector("output").textContent = `${part} %`;
      row.querySelector("input").setAttribute("aria-valuetext", `${part} % ${mixed[i].label}`);
    });
  }

  /** Own pictures come first and are chosen at once. */
  function take(files) {
    for (const file of files) {
      const name = `own ${file.name} ${file.size} ${file.lastModified}`;
      if (!styles.some((style) => style.name === name)) {
        const sentence = `your own picture, ${file.name}`;
        styles.unshift({ name, label: plainName(file.name), sentence, picture: URL.createObjectURL(file), file });
      }
      if (picked.size < most) picked.add(name);
    }
    draw();
    changed();
  }

  chosen(byId("own"), take);
  dropped(byId("styles-place"), take, () => { fault.textContent = "This is no picture. A style is a picture: JPEG, PNG, HEIC or the like."; });
  draw();

  return {
    take,
    /** What is chosen; built-in ones first, in the order in which the server takes the weights. */
    chosen: () => [...inOrder().filter((style) => !style.file), ...inOrder().filter((style) => style.file)],
    weight: (style) => shares.get(style.name) ?? EVEN,
    /** Choose by name, as a job had it; weights only matter against each other. */
    choose(names, weights) {
      picked.clear();
      names.forEach((name, i) => {
        const found = styles.find((style) => style.name === name || (style.file && style.file.name === name));
        if (!found || picked.size >= most) return;
        picked.add(found.name);
        if (weights?.length) shares.set(found.name, Math.round((EVEN * weights[i]) / Math.max(...weights)));
      });
      draw();
      changed();
    },
    /** What the person has to put right before painting; "" if nothing. */
    missing() {
      const mixed = inOrder();
      if (!mixed.length) return "Choose a style first.";
      if (mixed.every((style) => (shares.get(style.name) ?? EVEN) === 0)) return "Give at least one style a share of more than nothing.";
      return "";
    },
    fault: (sentence) => { fault.textContent = sentence; },
  };
}
