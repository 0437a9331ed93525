/** Records of past runs: looked for, and followed as they come. */

import { follow, get } from "./api.js";
import { open } from "./dialogs.js";
import {
  badge,
  count,
  duration,
  el,
  facts,
  moment,
  replace,
  row,
  short,
  size,
  table,
} from "./elements.js";

/** Records that the page keeps and shows. More would be read by nobody. */
const SHOWN = 200;
/** Records that are asked for at first where the page filters itself: all that the host keeps. */
const ALL = 1000;
/** The pause before the stream is opened again. */
const PAUSE_MS = 2_000;

/** Kinds of faults, as the host has them. */
const FAULTS = [
  "fuel",
  "deadline",
  "memory",
  "outbox_messages",
  "outbox_bytes",
  "host_calls",
  "call_bytes",
  "handles",
  "stack",
  "trap",
  "exit",
  "failed",
  "state_unreadable",
  "conflict",
  "quota",
  "type",
  "store",
  "commit_unknown",
  "host",
];
const ANY_FAULT = "fault";
const COLUMNS = ["Began", "Module", "Consumer", "Channel", "Outcome", "Time", "Fuel", "Lines"];

/** @param {string} outcome */
const isFault = (outcome) => outcome !== "ok" && outcome !== "gone";

/**
 * @param {import("./main.js").Host} host
 * @param {URLSearchParams} query
 */
export function records(host, query) {
  /** Newest first. @type {any[]} */
  let kept = [];
  /** @type {Set<string>} */
  const ids = new Set();
  let missed = 0;
  let drawing = 0;
  let fresh = true;
  /** @type {AbortController | null} */
  let stream = null;
  const wanted = {
    module: query.get("module") ?? "",
    outcome: query.get("outcome") ?? "",
    id: query.get("id") ?? "",
  };

  const select = el(
    "select",
    { id: "record-outcome" },
    ...[
      ["", "any"],
      ["ok", "ok"],
      ["gone", "gone"],
      [ANY_FAULT, "any fault"],
      ...FAULTS.map((kind) => [kind, kind]),
    ].map(([value, text]) => el("option", { value, selected: value === wanted.outcome }, text)),
  );
  const names = el("datalist", { id: "record-modules" });
  const module = el("input", {
    id: "record-module",
    value: wanted.module,
    list: "record-modules",
    autocapitalize: "none",
    autocomplete: "off",
    spellcheck: "false",
  });
  const id = el("input", {
    id: "record-id",
    value: wanted.id,
    autocapitalize: "none",
    autocomplete: "off",
    spellcheck: "false",
  });
  const following = el("input", { id: "follow", type: "checkbox", checked: true });
  const status = el("p", { class: "hint", id: "stream" });
  const filters = el(
    "form",
    { class: "filters", "aria-label": "Filter records" },
    el("div", {}, el("label", { for: "record-module" }, "Module"), module, names),
    el("div", {}, el("label", { for: "record-outcome" }, "Outcome"), select),
    el("div", {}, el("label", { for: "record-id" }, "Id of a request"), id),
    el("button", { type: "submit", id: "filter" }, "Filter"),
    el("label", { class: "check" }, following, " Follow"),
  );
  const body = el("tbody", { role: "rowgroup", id: "records" });
  const list = table("Records, the newest first", COLUMNS, []);
  list.querySelector("tbody")?.replaceWith(body);
  const empty = el("p", { class: "empty" });
  const element = el(
    "div",
    {},
    el("h1", { tabindex: "-1" }, "Records"),
    filters,
    status,
    list,
    empty,
  );

  const filtered = () => wanted.module !== "" || wanted.outcome !== "" || wanted.id !== "";

  filters.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const next = new URLSearchParams();
    if (module.value.trim()) next.set("module", module.value.trim());
    if (select.value) next.set("outcome", select.value);
    if (id.value.trim()) next.set("id", id.value.trim());
    const text = next.toString();
    host.go(text ? `records?${text}` : "records");
  });
  select.addEventListener("change", () => filters.requestSubmit());
  following.addEventListener("change", () =>
    following.checked
      ? begin().catch(host.failed)
      : stop("Not following. New records are not shown."),
  );

  /** @param {any} record */
  function takes(record) {
    if (wanted.module && record.module !== wanted.module) return false;
    if (
      wanted.id &&
      record.correlation_id.replaceAll("-", "") !== wanted.id.replaceAll("-", "").toLowerCase()
    )
      return false;
    if (wanted.outcome === ANY_FAULT) return isFault(record.outcome);
    return !wanted.outcome || record.outcome === wanted.outcome;
  }

  /** @param {any[]} more newest first */
  function add(more) {
    const taken = more.filter((record) => takes(record) && !ids.has(record.id));
    if (taken.length === 0) return;
    kept = [...taken, ...kept].slice(0, SHOWN);
    ids.clear();
    for (const record of kept) ids.add(record.id);
    drawing ||= requestAnimationFrame(draw);
  }

  /** Draws what is not drawn yet: rows that are there stay, and so does the focus. */
  function draw() {
    drawing = 0;
    const rows = new Map([...body.children].map((child) => [child.dataset.id, child]));
    const fragment = [];
    for (const record of kept) {
      if (rows.has(record.id)) break;
      fragment.push(line(record, fresh));
    }
    body.prepend(...fragment);
    while (body.children.length > SHOWN) body.lastElementChild?.remove();
    fresh = false;
    told();
  }

  function told() {
    list.hidden = kept.length === 0;
    empty.hidden = kept.length > 0;
    empty.textContent = filtered()
      ? "No record that the host keeps fits this filter."
      : "Nothing ran yet. Each request, each frame of a WebSocket and each message of a channel that a module takes makes a record.";
  }

  function start() {
    stop("");
    const controller = new AbortController();
    stream = controller;
    run(controller.signal);
  }

  /** @param {string} text */
  function stop(text) {
    stream?.abort();
    stream = null;
    status.textContent = text;
  }

  /** @param {AbortSignal} signal */
  async function run(signal) {
    const path = wanted.module
      ? `records/stream?module=${encodeURIComponent(wanted.module)}`
      : "records/stream";
    /** Came since the last chance to draw. @type {any[]} */
    let waiting = [];
    const take = () => {
      const more = waiting.reverse();
      waiting = [];
      if (!signal.aborted) add(more);
    };
    while (!signal.aborted) {
      try {
        await follow(
          path,
          signal,
          (name, data) => {
            const told = /** @type {any} */ (data);
            if (name === "missed") {
              missed += told.count;
              status.textContent = `Following. ${count(missed)} records came too fast and are left out.`;
            } else if (name === "record" && takes(told)) {
              if (waiting.length === 0) queueMicrotask(take);
              waiting.push(told);
              if (waiting.length > 2 * SHOWN) waiting.splice(0, SHOWN);
            }
          },
          () => {
            if (missed === 0) status.textContent = "Following: new records appear on top.";
          },
        );
        if (!signal.aborted) status.textContent = "The stream has ended. Trying again.";
      } catch (error) {
        if (signal.aborted) return;
        status.textContent = `${error instanceof Error ? error.message : error} Trying again.`;
      }
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
  }

  async function begin() {
    if (following.checked && !document.hidden) start();
    const asked = new URLSearchParams({ limit: `${wanted.outcome === ANY_FAULT ? ALL : SHOWN}` });
    if (wanted.module) asked.set("module", wanted.module);
    if (wanted.outcome && wanted.outcome !== ANY_FAULT) asked.set("outcome", wanted.outcome);
    if (wanted.id) asked.set("correlation_id", wanted.id);
    const [found, listed] = await Promise.all([get(`records?${asked}`), get("modules")]);
    replace(
      names,
      ...listed.modules.map((/** @type {any} */ it) => el("option", { value: it.name })),
    );
    // Records of the stream that came meanwhile are among these or newer.
    const newer = kept;
    kept = [];
    ids.clear();
    body.replaceChildren();
    fresh = true;
    add([
      ...newer,
      ...found.records.filter(
        (/** @type {any} */ it) => !newer.some((other) => other.id === it.id),
      ),
    ]);
    told();
  }

  return {
    title: "Records",
    element,
    refresh: begin,
    once: true,
    visible: (/** @type {boolean} */ shown) => {
      if (!shown) stop("");
      else if (following.checked) begin().catch(host.failed);
    },
    close: () => stop(""),
  };
}

/**
 * @param {any} record
 * @param {boolean} isOld
 */
function line(record, isOld) {
  const time = new Date(record.started_at);
  const began = `${time.toTimeString().slice(0, 8)}.${String(time.getMilliseconds()).padStart(3, "0")}`;
  const made = row(
    COLUMNS,
    el(
      "button",
      {
        type: "button",
        class: "link mono",
        "aria-label": `Look at the run of ${record.module} at ${began}`,
        click: () => show(record),
      },
      began,
    ),
    `${record.module} ${record.version}`,
    record.consumer,
    el("span", { class: "mono" }, record.channel),
    badge(
      record.outcome,
      isFault(record.outcome) ? "bad" : record.outcome === "ok" ? "good" : "plain",
    ),
    duration(record.wall_us),
    short(record.fuel),
    record.log.length > 0 ? count(record.log.length) : "",
  );
  made.dataset.id = record.id;
  if (!isOld) made.classList.add("new");
  return made;
}

/** @param {any} record */
function show(record) {
  const { module, version, consumer, log } = record;
  const close = el("button", { type: "button", id: "close", click: () => dialog.close() }, "Close");
  const lines = log.map((/** @type {any} */ { level, text }) =>
    el(
      "li",
      { class: level },
      el("span", { class: "level" }, level),
      " ",
      el("span", { class: "text" }, text),
    ),
  );
  const dialog = open(
    `${module} ${version}: ${consumer}`,
    [
      facts([
        ["Outcome", badge(record.outcome, isFault(record.outcome) ? "bad" : "good")],
        [
          "Fault",
          record.detail &&
            el("pre", { class: "said", id: "record-fault", tabindex: "0" }, record.detail),
        ],
        ["Began", moment(record.started_at)],
        ["Channel", record.channel],
        ["In place of", record.in_place_of && `version ${record.in_place_of}, which failed at it`],
        ["Time", duration(record.wall_us)],
        ["Fuel", count(record.fuel)],
        ["Memory", size(record.memory_bytes)],
        ["Attempts", record.attempts === 0 ? "0: it was not run" : count(record.attempts)],
        ["Keys read, written", `${count(record.keys_read)}, ${count(record.keys_written)}`],
        ["Messages sent", count(record.sent)],
        [
          "Id",
          el(
            "a",
            { class: "mono", href: `#records?id=${encodeURIComponent(record.correlation_id)}` },
            record.correlation_id,
          ),
        ],
      ]),
      el("h3", {}, "Lines"),
      lines.length > 0
        ? el(
            "ol",
            {
              class: "log",
              id: "record-log",
              tabindex: "0",
              "aria-label": "Lines that it logged and printed",
            },
            ...lines,
          )
        : el("p", { class: "empty" }, "It logged nothing."),
      record.log_truncated && el("p", { class: "hint" }, "Further lines were cut off."),
      el("div", { class: "buttons" }, close),
    ].filter(Boolean),
    "wide",
  );
}
