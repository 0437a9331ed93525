/** Connections of all processes: looked for by module, group and user, and closed. */

import { change, get } from "./api.js";
import { ask, open, say } from "./dialogs.js";
import { count, el, facts, moment, replace, row, size, table } from "./elements.js";
import { paging } from "./paging.js";

/** Connections of a page. */
const PAGE = 100;
/** Digits of the name of a connection in the table. */
const DIGITS = 8;
const FIELDS = ["module", "group", "user"];

/**
 * @param {import("./main.js").Host} host
 * @param {URLSearchParams} query
 */
export function connections(host, query) {
  const input = (/** @type {string} */ name, label = name) =>
    el(
      "div",
      {},
      el("label", { for: `connection-${name}` }, label),
      el("input", {
        id: `connection-${name}`,
        name,
        value: query.get(name) ?? "",
        autocapitalize: "none",
        autocomplete: "off",
        spellcheck: "false",
      }),
    );
  const filters = el(
    "form",
    { class: "filters", "aria-label": "Filter connections" },
    input("module", "Module"),
    input("group", "Group"),
    input("user", "User"),
    el("button", { type: "submit", id: "filter-connections" }, "Filter"),
  );
  const status = el("p", { class: "hint", id: "connections-total", role: "status" });
  const silent = el("div", { id: "unanswered" });
  const buttons = el("p", { class: "buttons" });
  const list = el("div");
  const pages = paging(() => {
    refresh().catch((error) => host.failed(error));
  });
  let shown = "";
  const wanted = new URLSearchParams();
  for (const field of FIELDS) {
    const value = query.get(field);
    if (value) wanted.set(field, value);
  }
  const element = el(
    "div",
    {},
    el("h1", { tabindex: "-1" }, "Connections"),
    filters,
    status,
    silent,
    buttons,
    list,
  );

  filters.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const next = new URLSearchParams();
    for (const field of FIELDS) {
      const value = filters.elements.namedItem(field).value.trim();
      if (value) next.set(field, value);
    }
    host.go(`${next}` ? `connections?${next}` : "connections");
  });

  async function refresh() {
    const asked = new URLSearchParams(wanted);
    asked.set("limit", `${PAGE}`);
    if (pages.cursor) asked.set("cursor", pages.cursor);
    const page = await get(`connections?${asked}`);
    const text = JSON.stringify(page);
    if (text === shown) return;
    shown = text;
    const { connections, total, unanswered, cursor: next } = page;
    status.textContent = total === 1 ? "1 connection." : `${count(total)} connections.`;
    replace(
      silent,
      ...unanswered.map((/** @type {any} */ { node, reason }) =>
        el("p", { class: "trouble" }, `${node} did not answer, and its connections are missing: ${reason}`),
      ),
    );
    replace(
      buttons,
      host.may("send") &&
        `${wanted}` !== "" &&
        total > 0 &&
        el(
          "button",
          {
            type: "button",
            id: "close-all",
            "data-key": "close-all",
            class: "danger",
            click: () => closeAll(host, wanted),
          },
          "Close the WebSockets among these",
        ),
      ...pages.buttons(next),
    );
    if (connections.length === 0) {
      replace(list, el("p", { class: "empty" }, "There are none here."));
      return;
    }
    const columns = ["Connection", "Module", "Path", "User", "Client", "Since", "Change"];
    const rows = connections.map((/** @type {any} */ it) => line(host, columns, it));
    replace(list, table("Connections", columns, rows));
  }

  return { title: "Connections", element, refresh };
}

/**
 * @param {import("./main.js").Host} host
 * @param {string[]} columns
 * @param {any} it
 */
function line(host, columns, it) {
  const short = it.connection.split("!")[1].slice(0, DIGITS);
  return row(
    columns,
    el(
      "button",
      {
        type: "button",
        class: "link mono",
        "data-key": it.connection,
        "aria-label": `Look at the connection ${short}`,
        click: () => look(it.connection).catch((error) => say(error.message, "bad")),
      },
      short,
    ),
    el("span", {}, `${it.module}: ${it.consumer}`),
    el("span", { class: "mono" }, `${it.protocol === "websocket" ? "WebSocket " : ""}${it.path}`),
    it.user
      ? el("a", { href: `#connections?user=${encodeURIComponent(it.user)}` }, it.user)
      : "",
    it.client,
    moment(it.since),
    host.may("send") &&
      el(
        "button",
        {
          type: "button",
          class: "danger",
          "data-key": `close-${it.connection}`,
          "aria-label": `Close the connection ${short}`,
          click: () => closeOne(host, it, short),
        },
        "Close",
      ),
  );
}

/** The fields of a close frame. */
function frame() {
  const code = el("input", {
    id: "close-code",
    type: "number",
    min: "1000",
    max: "4999",
    value: "1000",
    required: true,
    "aria-describedby": "close-code-hint",
  });
  const reason = el("input", { id: "close-reason", maxlength: "123", autocomplete: "off" });
  return {
    content: [
      el("label", { for: "close-code" }, "Close code"),
      code,
      el(
        "p",
        { class: "hint", id: "close-code-hint" },
        "1000, or 3000 to 4999. A client of the JavaScript package does not come back after 1000.",
      ),
      el("label", { for: "close-reason" }, "Reason"),
      reason,
    ],
    values: () => ({
      code: Number(code.value),
      ...(reason.value && { reason: reason.value }),
    }),
  };
}

/**
 * @param {import("./main.js").Host} host
 * @param {any} it
 * @param {string} short
 */
function closeOne(host, it, short) {
  const { content, values } = frame();
  ask({
    title: `Close the connection ${short}?`,
    content: it.protocol === "websocket" ? content : [el("p", {}, "The request is answered with 503, or its stream ends.")],
    action: "Close it",
    working: "Closing…",
    danger: true,
    work: async () => {
      const asked = new URLSearchParams(
        Object.entries(values()).map(([name, value]) => [name, `${value}`]),
      );
      await change("DELETE", `connections/${encodeURIComponent(it.connection)}?${asked}`);
      say(`The connection ${short} is being closed.`, "good");
      host.refresh();
    },
  });
}

/**
 * @param {import("./main.js").Host} host
 * @param {URLSearchParams} wanted
 */
function closeAll(host, wanted) {
  const { content, values } = frame();
  const whose = [...wanted].map(([name, value]) => `${name} ${value}`).join(", ");
  ask({
    title: `Close the WebSockets of ${whose}?`,
    content,
    action: "Close them",
    working: "Closing…",
    danger: true,
    work: async () => {
      const body = { ...Object.fromEntries(wanted), ...values() };
      const { closing, unanswered } = await change("POST", "connections/close", body);
      const missing = unanswered.map(
        (/** @type {any} */ { node, reason }) => `${node} did not answer: ${reason}`,
      );
      say(`${count(closing)} WebSockets are being closed.`, missing.length > 0 ? "watch" : "good", missing);
      host.refresh();
    },
  });
}

/** @param {string} name */
async function look(name) {
  const it = await get(`connections/${encodeURIComponent(name)}`);
  const groups = it.groups.map((/** @type {string} */ group) =>
    el("li", {}, el("a", { href: `#connections?group=${encodeURIComponent(group)}` }, group)),
  );
  const dialog = open(
    "Connection",
    [
      facts([
        ["Reply channel", el("span", { class: "mono" }, it.connection)],
        ["Module", el("a", { href: `#modules/${it.module}` }, it.module)],
        ["Consumer", it.consumer],
        ["Path", el("span", { class: "mono" }, it.path)],
        ["User", it.user],
        ["Client", it.client],
        ["Since", moment(it.since)],
        ["Waits for the client", size(it.unsent_bytes)],
        [
          "Its runs",
          el("a", { href: `#records?id=${encodeURIComponent(it.correlation_id)}` }, "Records"),
        ],
      ]),
      el("h3", {}, "Groups"),
      groups.length > 0 ? el("ul", {}, ...groups) : el("p", { class: "empty" }, "It is in none."),
      el(
        "div",
        { class: "buttons" },
        el("button", { type: "button", id: "close", click: () => dialog.close() }, "Close"),
      ),
    ],
    "wide",
  );
}
