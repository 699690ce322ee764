/** Talking to the server: every answer is JSON, and everything that goes wrong becomes a sentence. */

import { signIn } from "./session.js";
import { duration } from "./words.js";

/** Something went wrong, and `message` is a sentence for the person at the page. */
export class ApiError extends Error {
  /**
   * @param {string} sentence
   * @param {number} status 0 if the server was not reached
   * @param {number} wait seconds to wait before another try, if the server said so
   */
  constructor(sentence, status, wait = 0) {
    super(sentence);
    this.status = status;
    this.wait = wait;
  }
}

const ROOT = "/api/v1";

/**
 * One request. A 401 asks for the token, once, and tries again.
 * @param {string} method
 * @param {string} path below /api/v1
 * @param {{json?: object, body?: BodyInit, type?: string, signal?: AbortSignal, whole?: boolean}} [what]
 *   whole: give back the Response itself, not its JSON
 */
export async function request(method, path, what = {}) {
  for (let again = false; ; again = true) {
    const response = await send(method, path, what);
    if (response.ok) {
      if (what.whole) return response;
      return response.status === 204 ? null : read(response);
    }
    if (response.status === 401 && path !== "/session" && !again && (await signIn())) continue;
    throw await failure(response);
  }
}

export const get = (path, what) => request("GET", path, what);
export const remove = (path) => request("DELETE", path);
export const post = (path, what) => request("POST", path, what);

/**
 * Form fields with files.
 * @param {Record<string, any>} values lists are repeated; null, undefined and "" are left out
 */
export function form(values) {
  const made = new FormData();
  for (const [name, value] of Object.entries(values)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one === null || one === undefined || one === "") continue;
      if (one instanceof Blob) made.append(name, one, one instanceof File ? one.name : `${name}.jpg`);
      else made.append(name, String(one));
    }
  }
  return made;
}

async function send(method, path, what) {
  const headers = { Accept: "application/json" };
  if (what.json) headers["Content-Type"] = "application/json";
  if (what.type) headers["Content-Type"] = what.type;
  try {
    return await fetch(ROOT + path, {
      method, headers, signal: what.signal, credentials: "same-origin", body: what.json ? JSON.stringify(what.json) : what.body,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is mien serve still running? Your work here is kept; try again.", 0);
  }
}

async function read(response) {
  try {
    return await response.json();
  } catch {
    throw new ApiError("The server's answer could not be read. Reload the page and try again.", response.status);
  }
}

async function failure(response) {
  const wait = Number(response.headers.get("Retry-After")) || 0;
  let sentence = "";
  try {
    const told = await response.json();
    sentence = typeof told.error === "string" ? told.error : "";
  } catch {
    // A body that is no JSON says nothing to a person; the status does.
  }
  return new ApiError(sentence || byStatus(response.status, wait), response.status, wait);
}

function byStatus(status, wait) {
  if (status === 401) return "This needs the administrator's token, which mien serve printed when it started.";
  if (status === 403) return "The server refused this, because it did not come from its own page. Reload the page.";
  if (status === 404) return "This is not here any more.";
  if (status === 413) return "This file is larger than the server takes. Choose a smaller one.";
  if (status === 429) return `That was too often. Try again ${wait ? `in ${duration(wait)}` : "in a moment"}.`;
  if (status >= 500) return "The server failed at this; its own log says why. Try again.";
  return `The server refused this (${status}).`;
}

/** Run something; what goes wrong is written where it belongs and false comes back. */
export async function told(place, act) {
  place.textContent = "";
  try {
    await act();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    place.textContent = error.message;
    return false;
  }
}

let known = null;

/** What this server offers: rooms, limits, who you are. Asked once a page. */
export function about() {
  known ??= get("/about").catch((error) => {
    known = null;
    throw error;
  });
  return known;
}
