/** Where pictures come in: dropped, pasted, chosen, or taken with the phone's camera. */

const KINDS = /\.(avif|bmp|gif|heic|heif|jpe?g|png|tiff?|webp)$/i;

/** Browsers give no type to some kinds of picture, so the name counts too. */
export const isPicture = (file) => file.type.startsWith("image/") || KINDS.test(file.name);

/**
 * Take pictures dropped on a place. The deepest place under the pointer gets them.
 * @param {HTMLElement} place
 * @param {(files: File[]) => void} take
 * @param {() => void} [refuse] what was dropped is no picture
 */
export function dropped(place, take, refuse = () => {}) {
  let inside = 0;
  const carries = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  const leave = () => {
    inside = 0;
    place.classList.remove("over");
  };
  place.addEventListener("dragenter", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    event.stopPropagation();
    inside += 1;
    place.classList.add("over");
  });
  place.addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  place.addEventListener("dragleave", () => {
    inside -= 1;
    if (inside <= 0) leave();
  });
  place.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    event.stopPropagation();
    leave();
    const files = [...event.dataTransfer.files].filter(isPicture);
    if (files.length) take(files);
    else refuse();
  });
}

/**
 * Take pictures chosen with a file field, which every button with `data-opens` and its id opens. The same file may be
 * chosen twice in a row.
 * @param {HTMLInputElement} field
 * @param {(files: File[]) => void} take
 */
export function chosen(field, take) {
  for (const button of document.querySelectorAll(`[data-opens="${field.id}"]`)) button.addEventListener("click", () => field.click());
  field.addEventListener("change", () => {
    const files = [...field.files];
    field.value = "";
    if (files.length) take(files);
  });
}

/**
 * Take pictures pasted anywhere in the page.
 * @param {(files: File[]) => void} take
 */
export function pasted(take) {
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter(isPicture);
    if (!files.length) return;
    event.preventDefault();
    take(files.map((file) => (file.name ? file : new File([file], "pasted.png", { type: file.type }))));
  });
}
