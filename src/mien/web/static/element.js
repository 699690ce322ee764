/** Making elements: the one place where the page's tree is built by hand. */

/**
 * An element with attributes, listeners (`onclick: …`) and children.
 * Children may be nodes or texts; null and undefined are left out.
 * @param {string} name
 * @param {Record<string, any>} [attributes] `class: null` and `hidden: false` set nothing; `disabled: true` sets it bare
 * @param {...(Node|string|null|undefined)} children
 * @returns {HTMLElement}
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/**
 * A drawing out of icons.svg; it says nothing to a screen reader.
 * @param {string} name
 * @param {string} [kind] further classes
 */
export function icon(name, kind = "") {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  drawing.setAttribute("class", `icon ${kind}`.trim());
  drawing.setAttribute("aria-hidden", "true");
  drawing.append(use);
  return drawing;
}

/**
 * The element with this id; a missing one is a mistake of ours and said at once.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`Expected an element with the id ${id} in this page.`);
  return found;
}

/** Put these children in place of all others. */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
}

/** Say something to whoever listens instead of looking, through the page's one quiet line. */
export function say(sentence) {
  const line = document.getElementById("said");
  if (line && line.textContent !== sentence) line.textContent = sentence;
}
