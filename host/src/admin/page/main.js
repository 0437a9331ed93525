/** The page: asks for the token, shows one view at a time, and asks again while it can be seen. */

import * as api from "./api.js";
import { connections } from "./connections.js";
import { closeAll, say } from "./dialogs.js";
import { el } from "./elements.js";
import { letterChannels, letters } from "./letters.js";
import { History } from "./metrics.js";
import { module, modules } from "./modules.js";
import { overview } from "./overview.js";
import { records } from "./records.js";
import { routes } from "./routes.js";
import { tokens } from "./tokens.js";

const METRICS_MS = 3_000;
const VIEW_MS = 5_000;
const READY_MS = 10_000;

/**
 * @typedef {object} View
 * @property {string} title
 * @property {HTMLElement} element
 * @property {() => Promise<void>} refresh
 * @property {boolean} [once] it is refreshed at its beginning only
 * @property {() => void} [figures] there are new metrics
 * @property {(shown: boolean) => void} [visible]
 * @property {() => void} [close]
 */

/** The roles, each of which may do all that those before it may. */
const ROLES = ["look", "send", "deploy", "admin"];

/** What views know of the page. */
class Host {
  history = new History();
  role = "look";
  /** @type {{ ready: boolean, text: string } | null} */
  readiness = null;

  /**
   * Whether the token may do what asks for a role. The host decides; the page only leaves buttons out.
   *
   * @param {string} role
   */
  may(role) {
    return ROLES.indexOf(this.role) >= ROLES.indexOf(role);
  }

  /** @param {string} place */
  go(place) {
    if (location.hash === `#${place}`) show();
    else location.hash = place;
  }

  refresh() {
    refresh();
  }

  /** @param {unknown} error */
  failed(error) {
    trouble(error);
  }
}

const at = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const main = at("main");
const nav = at("nav");
const leave = at("leave");
const fault = el("p", { class: "trouble", role: "alert", id: "trouble", hidden: true });

let host = new Host();
let isIn = false;
/** @type {View | null} */
let view = null;

/** @param {unknown} error */
function trouble(error) {
  const text = error instanceof Error ? error.message : String(error);
  if (fault.textContent !== text) fault.textContent = text;
  fault.hidden = false;
}

/** The view that the address names. */
function named() {
  const [place, query] = location.hash.slice(1).split("?");
  const [first, second] = place.split("/");
  switch (first) {
    case "modules":
      return second ? module(host, second) : modules(host);
    case "records":
      return records(host, new URLSearchParams(query));
    case "routes":
      return routes(host);
    case "connections":
      return connections(host, new URLSearchParams(query));
    case "letters":
      return second ? letters(host, decodeURIComponent(second)) : letterChannels();
    case "tokens":
      return tokens(host);
    default:
      return overview(host);
  }
}

/** @param {{ focus?: boolean }} [how] */
function show({ focus = true } = {}) {
  if (!isIn) return;
  view?.close?.();
  closeAll();
  view = named();
  fault.hidden = true;
  document.title = `${view.title} · Tidegate`;
  main.replaceChildren(fault, view.element);
  const first = location.hash.slice(1).split(/[/?]/)[0] || "overview";
  for (const link of nav.querySelectorAll("a")) {
    if (link.getAttribute("href") === `#${first}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  window.scrollTo(0, 0);
  if (focus) view.element.querySelector("h1")?.focus({ preventScroll: true });
  refresh();
}

async function refresh() {
  const asked = view;
  if (!asked || !isIn) return;
  try {
    await asked.refresh();
    if (asked === view) fault.hidden = true;
  } catch (error) {
    if (asked === view && isIn) trouble(error);
  }
}

/** Does something again and again while the page can be seen: the next time begins after the one before. */
function every(/** @type {number} */ pause, /** @type {() => Promise<void>} */ work) {
  const turn = async () => {
    if (!document.hidden) await work();
    setTimeout(turn, pause);
  };
  turn();
}

async function readiness() {
  const place = at("ready");
  try {
    host.readiness = await api.readiness();
  } catch (error) {
    host.readiness = { ready: false, text: error instanceof Error ? error.message : String(error) };
  }
  const { ready, text } = host.readiness;
  const shown = ready ? "ready" : `not ready: ${text}`;
  if (place.textContent !== shown) place.textContent = shown;
  place.className = ready ? "good" : "bad";
}

async function metrics() {
  if (!isIn) return;
  try {
    host.history.add(await api.metrics(), performance.now());
    view?.figures?.();
  } catch {
    // The view's own requests say what is wrong.
  }
}

/** @param {string} [why] */
function signIn(why = "") {
  isIn = false;
  api.forget();
  view?.close?.();
  view = null;
  closeAll();
  host = new Host();
  nav.hidden = true;
  leave.hidden = true;
  at("notices").replaceChildren();
  document.title = "Tidegate";
  const token = el("input", {
    id: "token",
    type: "password",
    required: true,
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
    "aria-describedby": "token-hint",
  });
  const user = el("input", {
    id: "user",
    maxlength: "200",
    autocomplete: "off",
    "aria-describedby": "user-hint",
  });
  const alert = el("p", { class: "trouble", role: "alert", id: "refused" }, why);
  const button = el("button", { type: "submit", class: "primary", id: "enter" }, "Look");
  const form = el(
    "form",
    { class: "entrance" },
    el("h1", {}, "Look at this process"),
    el("label", { for: "token" }, "Token"),
    token,
    el(
      "p",
      { class: "hint", id: "token-hint" },
      "A named token, or the one in the file ",
      el("code", {}, "admin-token"),
      " of the data directory. This page keeps it in memory only: after a reload it asks again.",
    ),
    el("label", { for: "user" }, "Your name, if you like"),
    user,
    el(
      "p",
      { class: "hint", id: "user-hint" },
      "It stands in the history of the modules that you change.",
    ),
    alert,
    el("div", { class: "buttons" }, button),
  );
  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    alert.textContent = "";
    try {
      api.use(token.value, user.value, () => {});
      const own = await api.get("token");
      host.role = own.role;
      api.use(token.value, user.value, () => {
        if (isIn)
          signIn("The host does not take the token any more. Enter the one that it has now.");
      });
      token.value = "";
      enter();
    } catch (error) {
      api.forget();
      alert.textContent =
        error instanceof api.Problem && error.status === 401
          ? "That is not the token of this host."
          : String(error instanceof Error ? error.message : error);
      token.select();
      token.focus();
    } finally {
      button.disabled = false;
    }
  });
  main.replaceChildren(form);
  token.focus();
}

function enter() {
  isIn = true;
  nav.hidden = false;
  at("nav-tokens").hidden = !host.may("admin");
  leave.hidden = false;
  show();
  metrics();
}

at("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
leave.addEventListener("click", () => signIn());
window.addEventListener("hashchange", () => show());
document.addEventListener("visibilitychange", () => {
  view?.visible?.(!document.hidden);
  if (!document.hidden && !view?.once) refresh();
});
window.addEventListener("unhandledrejection", ({ reason }) =>
  say(String(reason?.message ?? reason), "bad"),
);

signIn();
every(READY_MS, readiness);
every(METRICS_MS, metrics);
every(VIEW_MS, async () => {
  if (!view?.once) await refresh();
});
