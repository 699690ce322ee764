/** Before and after, one over the other, with a line between them that is a slider. */

import { element, icon } from "./element.js";

/**
 * @param {{before: string, after: string, name: string}} what addresses of two pictures of the same shape
 * @returns {HTMLElement}
 */
export function compare({ before, after, name }) {
  const painted = element("img", { class: "after", src: after, alt: `${name}, the painting`, draggable: "false" });
  const photo = element("img", { class: "before", src: before, alt: `${name}, the photo`, draggable: "false" });
  const slider = element("input", {
    type: "range", min: 0, max: 100, step: 0.5, value: 0, "aria-label": "How much of the photo covers the painting",
  });
  const line = element("span", { class: "line", "aria-hidden": "true" }, element("span", { class: "grip" }, icon("sides")));
  const box = element("div", { class: "compare" }, painted, photo, line, slider,
    element("span", { class: "side left", "aria-hidden": "true" }, "photo"),
    element("span", { class: "side right", "aria-hidden": "true" }, "painting"));
  const place = () => {
    const share = Number(slider.value);
    box.style.setProperty("--at", `${share}%`);
    box.classList.toggle("shut", share < 8);
    box.classList.toggle("wide", share > 92);
    slider.setAttribute("aria-valuetext", `${Math.round(share)} % photo, ${Math.round(100 - share)} % painting`);
  };
  slider.addEventListener("input", () => {
    box.classList.add("touched");
    place();
  });
  painted.addEventListener("load", () => {
    box.style.setProperty("--ratio", String(painted.naturalWidth / painted.naturalHeight));
    if (!box.classList.contains("touched")) open(slider, place, box);
  }, { once: true });
  place();
  return box;
}

/** The line comes in from the left once, so that it is seen to be one that moves. */
function open(slider, place, box) {
  const aim = 38;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    slider.value = String(aim);
    place();
    return;
  }
  const start = performance.now() + 700;
  const step = (now) => {
    if (box.classList.contains("touched")) return;
    const share = Math.min(1, Math.max(0, (now - start) / 900));
    slider.value = String(aim * (1 - (1 - share) ** 3));
    place();
    if (share < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}
