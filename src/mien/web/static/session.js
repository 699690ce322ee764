/** Who is at the page: the administrator's token becomes a cookie and leaves the address bar. */

import { element } from "./element.js";

let asking = null;

/** A token in the address (#token=…) is handed in and removed from it, so that it is in no history or screenshot. */
export async function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return true;
  history.replaceState(null, "", location.pathname + location.search);
  return (await handIn(token)) === "";
}

/** Forget who was here. */
export async function signOut() {
  await fetch("/api/v1/session", { method: "DELETE", credentials: "same-origin" });
}

/** Ask for the token; true once it was right, false if the person gave up. Several asks at once share one dialog. */
export function signIn() {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

/** @returns {Promise<string>} what was wrong; nothing if the token was right */
async function handIn(token) {
  try {
    const response = await fetch("/api/v1/session", {
      method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }),
    });
    if (response.ok) return "";
    if (response.status === 429) return "Too many tries. Wait a minute and try again.";
    return "This is not the token. It stands in the terminal where mien serve was started.";
  } catch {
    return "The server does not answer. Is mien serve still running?";
  }
}

function ask() {
  return new Promise((settle) => {
    const fault = element("p", { class: "fault", role: "alert" });
    const field = element("input", {
      type: "password", id: "token", autocomplete: "off", autocapitalize: "off", spellcheck: "false", required: true,
    });
    const box = element("dialog", { "aria-labelledby": "sign-in" },
      element("form", {
        onsubmit: async (event) => {
          event.preventDefault();
          fault.textContent = await handIn(field.value.trim());
          if (!fault.textContent) box.close("in");
          else field.select();
        },
      },
      element("h2", { id: "sign-in" }, "For the administrator"),
      element("p", { class: "faint" }, "Enter the token that ", element("code", {}, "mien serve"),
        " printed when it started, or open the address it printed."),
      element("div", { class: "field" }, element("label", { for: "token" }, "Token"), field, fault),
      element("div", { class: "row" },
        element("button", { class: "button", type: "button", onclick: () => box.close() }, "Not now"),
        element("button", { class: "button main" }, "Sign in"))));
    box.addEventListener("close", () => {
      box.remove();
      settle(box.returnValue === "in");
    });
    document.body.append(box);
    box.showModal();
  });
}
