/** Modules: their states, versions and settings, and the changes of them. */

import { change, get } from "./api.js";
import { ask, say } from "./dialogs.js";
import { badge, el, facts, moment, replace, row, short, size, table } from "./elements.js";
import { routesTable } from "./routes.js";

/** Messages to be sent later that are shown. */
const LATER = 20;

/** @type {Record<string, { word: string, kind: "good" | "watch" | "bad", means: string }>} */
export const STATES = {
  active: { word: "active", kind: "good", means: "" },
  probation: {
    word: "on probation",
    kind: "watch",
    means:
      "A new version, which is watched. Where it fails, the version before answers, and comes back.",
  },
  "rolled-back": {
    word: "rolled back",
    kind: "bad",
    means: "A new version failed, and the version before is active again.",
  },
  resting: {
    word: "resting",
    kind: "bad",
    means: "It failed too often, so it is not run for a while; clients get 503.",
  },
  failed: { word: "failed", kind: "bad", means: "Its active version is damaged or cannot run." },
};

/** @param {any} module */
function state(module) {
  const { word, kind } = STATES[module.state] ?? { word: module.state, kind: "bad" };
  return badge(word, kind);
}

/** @param {any} module */
const version = (module) => (module.active_version === null ? "none" : `${module.active_version}`);

/** @param {import("./main.js").Host} host */
export function modules(host) {
  const list = el("div");
  /** @type {Map<string, HTMLElement>} */
  let rates = new Map();
  let shown = "";
  const element = el(
    "div",
    {},
    el("h1", { tabindex: "-1" }, "Modules"),
    el(
      "p",
      { class: "buttons" },
      el(
        "button",
        { type: "button", class: "primary", id: "deploy", click: () => deploy(host) },
        "Deploy a file",
      ),
    ),
    list,
  );

  function figures() {
    for (const [name, cell] of rates) {
      const runs = host.history.step?.runs(name);
      if (!runs || Number.isNaN(runs.all)) continue;
      cell.textContent = `${short(runs.all)} / ${short(runs.failed)}`;
    }
  }

  async function refresh() {
    const { modules } = await get("modules");
    const text = JSON.stringify(modules);
    if (text === shown) return;
    shown = text;
    rates = new Map();
    if (modules.length === 0) {
      replace(list, empty());
      return;
    }
    const columns = [
      "Module",
      "State",
      "Version",
      "Active since",
      "Deployed by",
      "Kept",
      "Runs / faults per second",
    ];
    const rows = modules.map((/** @type {any} */ module) => {
      const rate = el("span", {}, "–");
      rates.set(module.name, rate);
      return row(
        columns,
        el("a", { href: `#modules/${module.name}`, "data-key": module.name }, module.name),
        state(module),
        version(module),
        moment(module.active_since ?? module.deployed_at),
        module.deployed_by ?? "",
        module.versions,
        rate,
      );
    });
    replace(list, table("Modules", columns, rows));
    figures();
  }

  return { title: "Modules", element, refresh, figures };
}

function empty() {
  return el(
    "div",
    { class: "empty" },
    el(
      "p",
      {},
      "No module is deployed yet. A module is a WebAssembly file that answers requests, WebSockets and messages of channels.",
    ),
    el("p", {}, "Make one, then deploy its file with the button above, or on the command line:"),
    el(
      "pre",
      { tabindex: "0" },
      "tidegate new hello\ncd hello\ntidegate build\ntidegate deploy hello FILE",
    ),
  );
}

/**
 * @param {import("./main.js").Host} host
 * @param {string} name
 */
export function module(host, name) {
  const body = el("div");
  let shown = "";
  const element = el(
    "div",
    {},
    el("p", {}, el("a", { href: "#modules" }, "All modules")),
    el("h1", { tabindex: "-1" }, name),
    body,
  );

  async function refresh() {
    const path = `modules/${encodeURIComponent(name)}`;
    const [details, later] = await Promise.all([
      get(path),
      // While the store is away the rest is worth showing.
      get(`${path}/delayed?limit=${LATER}`).catch((error) => ({ fault: error.message })),
    ]);
    const text = JSON.stringify([details, later]);
    if (text === shown) return;
    shown = text;
    replace(body, ...sections(host, details), delayed(host, details, later));
  }

  return { title: name, element, refresh };
}

/**
 * Messages that the module sends later.
 *
 * @param {import("./main.js").Host} host
 * @param {any} details
 * @param {any} later
 */
function delayed(host, { name }, { messages = [], total = 0, fault }) {
  const columns = ["Due", "Channel", "Key", "Change"];
  const rows = messages.map((/** @type {any} */ { due_at: due, channel, key }) =>
    row(
      columns,
      moment(due),
      el("span", { class: "mono" }, channel),
      key ?? "",
      key !== null &&
        host.may("send") &&
        el(
          "button",
          {
            type: "button",
            class: "danger",
            "data-key": `cancel-${key}`,
            "aria-label": `Cancel ${key}`,
            click: () => cancel(host, name, key),
          },
          "Cancel",
        ),
    ),
  );
  const hint =
    fault ??
    (total === 0
      ? "Nothing waits to be sent later."
      : total > messages.length
        ? `The first ${messages.length} of ${total}.`
        : "");
  return el(
    "section",
    { "aria-labelledby": "h-later" },
    el("h2", { id: "h-later" }, "Sent later"),
    hint && el("p", { class: "hint" }, hint),
    rows.length > 0 && table("Messages that are sent later", columns, rows),
  );
}

/**
 * @param {import("./main.js").Host} host
 * @param {string} name
 * @param {string} key
 */
function cancel(host, name, key) {
  ask({
    title: `Cancel ${key}?`,
    content: [el("p", {}, `${name} does not send it then.`)],
    action: "Cancel the message",
    working: "Cancelling…",
    danger: true,
    work: async () => {
      await change("DELETE", `modules/${name}/delayed?key=${encodeURIComponent(key)}`);
      say(`${name}: ${key} is cancelled.`, "good");
      host.refresh();
    },
  });
}

/**
 * @param {import("./main.js").Host} host
 * @param {any} details
 */
function sections(host, details) {
  const { name } = details;
  const button = (
    /** @type {string} */ id,
    /** @type {string} */ text,
    /** @type {() => void} */ click,
    kind = "",
  ) => el("button", { type: "button", id, "data-key": id, class: kind, click }, text);
  const settings = JSON.stringify(details.settings, null, 2);
  return [
    el(
      "div",
      { class: "buttons" },
      button("deploy", "Deploy a file", () => deploy(host, name), "primary"),
      button("rollback", "Roll back", () => rollback(host, details)),
      el(
        "a",
        { class: "button", href: `#records?module=${name}`, "data-key": "records" },
        "Records",
      ),
      button("delete", "Delete the module", () => remove(host, details), "danger"),
    ),
    facts([
      ["State", el("span", {}, state(details), ` ${STATES[details.state]?.means ?? ""}`)],
      ["Fault", details.fault && el("span", { class: "said", id: "fault" }, details.fault)],
      ["Run again", moment(details.resting_until)],
      ["Active version", version(details)],
      ["Active since", moment(details.active_since)],
      [
        "Deployed",
        details.deployed_at &&
          el("span", {}, moment(details.deployed_at), ` by ${details.deployed_by}`),
      ],
      ["Digest", details.digest && el("span", { class: "mono" }, details.digest)],
      ["Source", details.source === "flag" ? "a file that was named at the start" : ""],
    ]),
    el(
      "section",
      { "aria-labelledby": "h-versions" },
      el("h2", { id: "h-versions" }, "Versions"),
      history(host, details),
    ),
    el(
      "section",
      { "aria-labelledby": "h-routes" },
      el("h2", { id: "h-routes" }, "Routes"),
      routesTable(details.routes, false),
    ),
    el(
      "section",
      { "aria-labelledby": "h-settings" },
      el("h2", { id: "h-settings" }, "Settings"),
      settings === "{}"
        ? el(
            "p",
            { class: "empty" },
            "None are written: tidegate.toml and the defaults hold. ",
            el("code", {}, `tidegate settings ${name} KEY=VALUE`),
            " writes one.",
          )
        : el("pre", { tabindex: "0", "aria-label": "Settings that are written" }, settings),
    ),
  ];
}

/**
 * @param {import("./main.js").Host} host
 * @param {any} details
 */
function history(host, details) {
  if (details.history.length === 0)
    return el(
      "p",
      { class: "empty" },
      "No version is kept. The file that was named at the start is served.",
    );
  const columns = ["Version", "Deployed", "By", "Note", "Size", "Digest", "Changes"];
  const rows = [...details.history].reverse().map((kept) => {
    const active = kept.version === details.active_version;
    const act = (
      /** @type {string} */ text,
      /** @type {string} */ key,
      /** @type {() => void} */ click,
      kind = "",
    ) =>
      el(
        "button",
        {
          type: "button",
          class: `small ${kind}`,
          id: `${key}-${kept.version}`,
          "data-key": `${key}-${kept.version}`,
          "aria-label": `${text} version ${kept.version}`,
          click,
        },
        text,
      );
    return row(
      columns,
      `${kept.version}`,
      moment(kept.deployed_at),
      kept.deployed_by,
      [kept.note, kept.source, kept.signed_by && `signed by ${kept.signed_by}`]
        .filter(Boolean)
        .join(" · "),
      size(kept.bytes),
      el("span", { class: "mono", title: kept.digest }, kept.digest.slice(0, 12)),
      active
        ? badge("active", "good")
        : el(
            "span",
            { class: "buttons" },
            act("Activate", "activate", () => activate(host, details, kept)),
            act("Delete", "drop", () => drop(host, details, kept), "danger"),
          ),
    );
  });
  return table("Versions, the newest first", columns, rows);
}

/**
 * Says how a deployment, activation or rollback ended.
 *
 * @param {any} deployed
 */
function report(deployed) {
  const { module, version, changed, warnings, nodes } = deployed;
  const lost = nodes
    .filter((/** @type {any} */ node) => node.fault)
    .map((/** @type {any} */ node) => `Process ${node.node} has another version: ${node.fault}`);
  const text = changed
    ? `${module}: version ${version} is active.`
    : `${module}: version ${version} was active already.`;
  const more = [...warnings, ...lost];
  say(text, more.length > 0 ? "watch" : "good", more);
}

/**
 * @param {import("./main.js").Host} host
 * @param {string} [name]
 */
function deploy(host, name) {
  const named = el("input", {
    id: "deploy-name",
    required: true,
    pattern: "[a-z0-9\\-]{1,63}",
    maxlength: "63",
    value: name,
    readonly: name !== undefined,
    autocapitalize: "none",
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": "name-hint",
  });
  const file = el("input", {
    id: "deploy-file",
    type: "file",
    accept: ".wasm,application/wasm",
    required: true,
  });
  const signature = el("input", { id: "deploy-signature", type: "file", accept: ".minisig" });
  const note = el("input", { id: "deploy-note", maxlength: "200", autocomplete: "off" });
  const watch = el("input", { id: "deploy-probation", type: "checkbox", checked: true });
  file.addEventListener("change", () => {
    const guessed =
      file.files?.[0]?.name
        .replace(/\.wasm$/, "")
        .replaceAll("_", "-")
        .toLowerCase() ?? "";
    if (named.value === "" && /^[a-z0-9-]{1,63}$/.test(guessed)) named.value = guessed;
  });
  ask({
    title: name === undefined ? "Deploy a module" : `Deploy a version of ${name}`,
    content: [
      el("label", { for: "deploy-file" }, "File"),
      file,
      el("label", { for: "deploy-name" }, "Module"),
      named,
      el(
        "p",
        { class: "hint", id: "name-hint" },
        name === undefined
          ? "Letters a to z, digits and hyphens. A name that is there gets another version."
          : "The file becomes its next version, and is active at once.",
      ),
      el("label", { for: "deploy-signature" }, "Signature, a .minisig file, where the host asks for one"),
      signature,
      el("label", { for: "deploy-note" }, "Note for the history"),
      note,
      el(
        "label",
        { class: "check" },
        watch,
        " Watch it on probation: where it fails, the version before comes back",
      ),
    ],
    action: "Deploy",
    working: "Deploying…",
    work: async () => {
      const path = `modules/${encodeURIComponent(named.value)}${watch.checked ? "" : "?probation=off"}`;
      const signed = await signature.files?.[0]?.text();
      const deployed = await change("PUT", path, file.files[0], {
        note: note.value,
        // Such a file is ASCII, and its comment may be anything.
        signature: signed && btoa(String.fromCharCode(...new TextEncoder().encode(signed))),
      });
      report(deployed);
      host.go(`modules/${deployed.module}`);
    },
  });
}

/**
 * @param {import("./main.js").Host} host
 * @param {any} details
 */
function rollback(host, { name, active_version: active }) {
  ask({
    title: `Roll ${name} back?`,
    content: [
      el(
        "p",
        {},
        `The version that was active before version ${active} answers from then on. Connections stay open.`,
      ),
    ],
    action: "Roll back",
    working: "Rolling back…",
    danger: true,
    work: async () => {
      report(await change("POST", `modules/${name}/rollback`, {}));
      host.refresh();
    },
  });
}

/**
 * @param {import("./main.js").Host} host
 * @param {any} details
 * @param {any} kept
 */
function activate(host, { name, active_version: active }, { version }) {
  ask({
    title: `Activate version ${version} of ${name}?`,
    content: [
      el("p", {}, `It takes the place of version ${active ?? "none"}. Connections stay open.`),
    ],
    action: "Activate",
    working: "Activating…",
    danger: true,
    work: async () => {
      report(await change("POST", `modules/${name}/activate`, { version }));
      host.refresh();
    },
  });
}

/**
 * @param {import("./main.js").Host} host
 * @param {any} details
 * @param {any} kept
 */
function drop(host, { name }, { version }) {
  ask({
    title: `Delete version ${version} of ${name}?`,
    content: [el("p", {}, "Its file is gone then, and it cannot be activated any more.")],
    action: "Delete the version",
    working: "Deleting…",
    danger: true,
    work: async () => {
      await change("DELETE", `modules/${name}/versions/${version}`);
      say(`${name}: version ${version} is deleted.`, "good");
      host.refresh();
    },
  });
}

/**
 * @param {import("./main.js").Host} host
 * @param {any} details
 */
function remove(host, { name, versions }) {
  ask({
    title: `Delete ${name}?`,
    content: [
      el(
        "p",
        {},
        `All its versions (${versions}) and its settings are gone then. Its routes answer 404, and its WebSockets are closed.`,
      ),
    ],
    action: "Delete the module",
    working: "Deleting…",
    danger: true,
    work: async () => {
      await change("DELETE", `modules/${name}`);
      say(`${name} is deleted.`, "good");
      host.go("modules");
    },
  });
}
