/** Named tokens: made, listed and revoked. */

import { change, get } from "./api.js";
import { ask, open, say } from "./dialogs.js";
import { el, moment, replace, row, table } from "./elements.js";

/** What each role may do, besides what those before it may. */
const ROLES = {
  look: "look at everything but data",
  send: "send messages, close connections, run dead letters again",
  deploy: "deploy, roll back, change data",
  admin: "set modules, make tokens, stop the process",
};

/** @param {import("./main.js").Host} host */
export function tokens(host) {
  const list = el("div");
  let shown = "";
  const element = el(
    "div",
    {},
    el("h1", { tabindex: "-1" }, "Tokens"),
    el(
      "p",
      { class: "hint" },
      "The token of the data directory may do everything, and is not in this list.",
    ),
    el(
      "p",
      { class: "buttons" },
      el(
        "button",
        { type: "button", class: "primary", id: "create", "data-key": "create", click: () => create(host) },
        "Make a token",
      ),
    ),
    list,
  );

  async function refresh() {
    const { tokens } = await get("tokens");
    const text = JSON.stringify(tokens);
    if (text === shown) return;
    shown = text;
    if (tokens.length === 0) {
      replace(list, el("p", { class: "empty" }, "There are none."));
      return;
    }
    const columns = ["Token", "Role", "Modules", "Made", "Last used", "Ends", "Change"];
    const rows = tokens.map((/** @type {any} */ token) =>
      row(
        columns,
        token.name,
        token.role,
        token.modules ? token.modules.join(", ") : "all",
        el("span", {}, moment(token.created_at), ` by ${token.created_by}`),
        token.used_at ? el("span", {}, "within an hour of ", moment(token.used_at)) : "never",
        token.expires_at ? moment(token.expires_at) : "when it is revoked",
        el(
          "button",
          {
            type: "button",
            class: "danger",
            id: `revoke-${token.name}`,
            "data-key": `revoke-${token.name}`,
            "aria-label": `Revoke ${token.name}`,
            click: () => revoke(host, token.name),
          },
          "Revoke",
        ),
      ),
    );
    replace(list, table("Tokens", columns, rows));
  }

  return { title: "Tokens", element, refresh };
}

/** @param {import("./main.js").Host} host */
function create(host) {
  const name = el("input", {
    id: "token-name",
    required: true,
    pattern: "[a-z0-9\\-]{1,63}",
    autocapitalize: "none",
    autocomplete: "off",
    "aria-describedby": "token-name-hint",
  });
  const role = el(
    "select",
    { id: "token-role" },
    ...Object.entries(ROLES).map(([value, means]) =>
      el("option", { value }, `${value}: ${means}`),
    ),
  );
  const modules = el("input", {
    id: "token-modules",
    autocapitalize: "none",
    autocomplete: "off",
    "aria-describedby": "token-modules-hint",
  });
  const ttl = el("input", {
    id: "token-ttl",
    autocapitalize: "none",
    autocomplete: "off",
    "aria-describedby": "token-ttl-hint",
  });
  ask({
    title: "Make a token",
    content: [
      el("label", { for: "token-name" }, "Name"),
      name,
      el("p", { class: "hint", id: "token-name-hint" }, "a-z, 0-9 and -, such as ci"),
      el("label", { for: "token-role" }, "Role"),
      role,
      el("label", { for: "token-modules" }, "Modules"),
      modules,
      el(
        "p",
        { class: "hint", id: "token-modules-hint" },
        "Names with commas between them; empty for all. An admin is not limited.",
      ),
      el("label", { for: "token-ttl" }, "Lives for"),
      ttl,
      el("p", { class: "hint", id: "token-ttl-hint" }, "Such as 30days; empty until it is revoked."),
    ],
    action: "Make it",
    working: "Making…",
    work: async () => {
      const named = modules.value.split(/[\s,]+/).filter(Boolean);
      const made = await change("POST", "tokens", {
        name: name.value,
        role: role.value,
        ...(named.length > 0 && { modules: named }),
        ...(ttl.value.trim() && { ttl: ttl.value.trim() }),
      });
      // After the dialog of the question is closed.
      queueMicrotask(() => setTimeout(() => show(made)));
      host.refresh();
    },
  });
}

/** @param {any} made */
function show(made) {
  const secret = el("pre", { class: "said", id: "secret", tabindex: "0" }, made.secret);
  const dialog = open(
    `The token ${made.name}`,
    [
      el("p", {}, "It is shown now, and never again: the host keeps a hash of it."),
      secret,
      el(
        "div",
        { class: "buttons" },
        el(
          "button",
          {
            type: "button",
            click: async () => {
              await navigator.clipboard.writeText(made.secret);
              say("The token is in the clipboard.", "good");
            },
          },
          "Copy",
        ),
        el("button", { type: "button", id: "close", click: () => dialog.close() }, "Close"),
      ),
    ],
    "wide",
  );
}

/**
 * @param {import("./main.js").Host} host
 * @param {string} name
 */
function revoke(host, name) {
  ask({
    title: `Revoke ${name}?`,
    content: [el("p", {}, "Whoever uses it is refused within a second, in all processes.")],
    action: "Revoke it",
    working: "Revoking…",
    danger: true,
    work: async () => {
      await change("DELETE", `tokens/${name}`);
      say(`${name} is revoked.`, "good");
      host.refresh();
    },
  });
}
