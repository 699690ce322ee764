/** The door's office: who is enrolled, who came, and how often the door errs. For the administrator alone. */

import { about, told } from "./api.js";
import { byId } from "./element.js";
import { openEnrol } from "./enrol.js";
import { openLog } from "./log.js";
import { openPeople } from "./people.js";
import { stayPresent } from "./presence.js";
import { openRisk } from "./risk.js";
import { signIn, signOut, takeToken } from "./session.js";

const DESKS = { people: openPeople, enrol: openEnrol, log: openLog, risk: openRisk };
const FIRST = "people";
let inside = false;

function gate() {
  byId("gate").hidden = inside;
  byId("out").hidden = !inside;
  document.querySelector(".desks").hidden = !inside;
  if (!inside) for (const name of Object.keys(DESKS)) byId(`desk-${name}`).hidden = true;
}

/** Go to the desk that the address names. */
function go() {
  if (!inside) return;
  const asked = location.hash.slice(1).split("=")[0];
  const name = asked in DESKS ? asked : FIRST;
  for (const one of Object.keys(DESKS)) byId(`desk-${one}`).hidden = one !== name;
  for (const link of document.querySelectorAll(".desks a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  DESKS[name]();
}

async function enter() {
  inside = await signIn();
  gate();
  go();
}

async function start() {
  byId("in").addEventListener("click", enter);
  byId("out").addEventListener("click", async () => {
    await signOut();
    location.reload();
  });
  window.addEventListener("hashchange", async () => {
    // A link with a token may be opened while the page is there.
    if (location.hash.startsWith("#token=") && (await takeToken())) location.reload();
    else go();
  });
  const right = await takeToken();
  await told(byId("fault"), async () => {
    inside = (await about()).administrator;
  });
  gate();
  go();
  stayPresent();
  if (!right && !inside) {
    byId("fault").textContent = "The token in this address is not (or no longer) the right one. Each start of mien serve prints a new one.";
  }
}

start();
