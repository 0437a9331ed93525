/** Dead letters: messages whose last try failed. They are looked at, run again, or dropped. */

import { change, get } from "./api.js";
import { ask, open, say } from "./dialogs.js";
import { count, duration, el, facts, moment, replace, row, size, table } from "./elements.js";
import { paging } from "./paging.js";

/** Dead letters of a page. */
const PAGE = 100;
/** Characters of a message in the table. */
const CHARACTERS = 120;

/** @param {any} letter */
function said(letter) {
  return letter.message === undefined ? letter.base64 : JSON.stringify(letter.message);
}

/** @param {string} text */
const cut = (text) => (text.length > CHARACTERS ? `${text.slice(0, CHARACTERS)} …` : text);

/** @param {string} channel */
const path = (channel) => `dead-letters/${encodeURIComponent(channel)}`;

/** The channels that have some. */
export function letterChannels() {
  const list = el("div");
  let shown = "";
  const element = el("div", {}, el("h1", { tabindex: "-1" }, "Dead letters"), list);

  async function refresh() {
    const { channels } = await get("dead-letters");
    const text = JSON.stringify(channels);
    if (text === shown) return;
    shown = text;
    if (channels.length === 0) {
      replace(
        list,
        el(
          "p",
          { class: "empty" },
          "There are none. A message of a channel with retries becomes one when its last try fails.",
        ),
      );
      return;
    }
    const columns = ["Channel", "Dead letters", "Oldest", "Module"];
    const rows = channels.map((/** @type {any} */ it) =>
      row(
        columns,
        el("a", { href: `#letters/${it.channel}`, "data-key": it.channel }, it.channel),
        count(it.messages),
        duration(it.oldest_ms * 1000),
        it.module
          ? el("a", { href: `#modules/${it.module}` }, it.module)
          : "none is active: they can be dropped, and not run",
      ),
    );
    replace(list, table("Channels with dead letters", columns, rows));
  }

  return { title: "Dead letters", element, refresh };
}

/**
 * The dead letters of a channel.
 *
 * @param {import("./main.js").Host} host
 * @param {string} channel
 */
export function letters(host, channel) {
  const status = el("p", { class: "hint", id: "letters-total", role: "status" });
  const buttons = el("p", { class: "buttons" });
  const list = el("div");
  const pages = paging(() => {
    refresh().catch((error) => host.failed(error));
  });
  let shown = "";
  const element = el(
    "div",
    {},
    el("p", {}, el("a", { href: "#letters" }, "All channels")),
    el("h1", { tabindex: "-1" }, channel),
    status,
    buttons,
    list,
  );

  async function refresh() {
    const query = new URLSearchParams({ limit: `${PAGE}` });
    if (pages.cursor) query.set("cursor", pages.cursor);
    const page = await get(`${path(channel)}?${query}`);
    const text = JSON.stringify(page);
    if (text === shown) return;
    shown = text;
    const { messages, total, cursor: next } = page;
    status.textContent = total === 1 ? "1 dead letter." : `${count(total)} dead letters.`;
    const may = host.may("send") && total > 0;
    replace(
      buttons,
      may &&
        el(
          "button",
          { type: "button", id: "run-all", "data-key": "run-all", click: () => all(host, channel, total, true) },
          "Run all again",
        ),
      may &&
        el(
          "button",
          {
            type: "button",
            id: "drop-all",
            "data-key": "drop-all",
            class: "danger",
            click: () => all(host, channel, total, false),
          },
          "Drop all",
        ),
      ...pages.buttons(next),
    );
    if (messages.length === 0) {
      replace(list, el("p", { class: "empty" }, "There are none here."));
      return;
    }
    const columns = ["Dead since", "Message", "Runs", "Change"];
    const rows = messages.map((/** @type {any} */ letter) =>
      row(
        columns,
        el(
          "button",
          {
            type: "button",
            class: "link",
            "data-key": `look-${letter.id}`,
            "aria-label": `Look at the dead letter of ${letter.dead_since}`,
            click: () => look(letter),
          },
          moment(letter.dead_since),
        ),
        el("span", { class: "mono" }, cut(said(letter))),
        runs(letter),
        host.may("send") &&
          el("span", { class: "buttons" }, again(host, channel, letter), drop(host, channel, letter)),
      ),
    );
    replace(list, table(`Dead letters of ${channel}, the oldest first`, columns, rows));
  }

  return { title: `Dead letters of ${channel}`, element, refresh };
}

/** @param {any} letter */
const runs = (letter) =>
  el("a", { href: `#records?id=${encodeURIComponent(letter.correlation_id)}` }, "Why it failed");

/**
 * @param {import("./main.js").Host} host
 * @param {string} channel
 * @param {any} letter
 */
const again = (host, channel, letter) =>
  el(
    "button",
    {
      type: "button",
      "data-key": `run-${letter.id}`,
      "aria-label": `Run the dead letter of ${letter.dead_since} again`,
      click: async (/** @type {any} */ { target }) => {
        target.disabled = true;
        try {
          await change("POST", `${path(channel)}/${letter.id}/run`);
          say(`It waits in ${channel} again, at the end.`, "good");
        } catch (error) {
          say(error instanceof Error ? error.message : String(error), "bad");
        }
        host.refresh();
      },
    },
    "Run again",
  );

/**
 * @param {import("./main.js").Host} host
 * @param {string} channel
 * @param {any} letter
 */
const drop = (host, channel, letter) =>
  el(
    "button",
    {
      type: "button",
      class: "danger",
      "data-key": `drop-${letter.id}`,
      "aria-label": `Drop the dead letter of ${letter.dead_since}`,
      click: () =>
        ask({
          title: "Drop this dead letter?",
          content: [el("pre", { class: "said", tabindex: "0" }, said(letter))],
          action: "Drop it",
          working: "Dropping…",
          danger: true,
          work: async () => {
            await change("DELETE", `${path(channel)}/${letter.id}`);
            say("It is dropped.", "good");
            host.refresh();
          },
        }),
    },
    "Drop",
  );

/**
 * @param {import("./main.js").Host} host
 * @param {string} channel
 * @param {number} total
 * @param {boolean} isRun
 */
function all(host, channel, total, isRun) {
  ask({
    title: isRun ? `Run ${count(total)} dead letters again?` : `Drop ${count(total)} dead letters?`,
    content: [
      el(
        "p",
        {},
        isRun
          ? `They go to the end of ${channel}, the oldest first, as many as it has room for and up to 1,000.`
          : "They are gone then, the oldest first, up to 1,000.",
      ),
    ],
    action: isRun ? "Run them again" : "Drop them",
    working: isRun ? "Running…" : "Dropping…",
    danger: !isRun,
    work: async () => {
      const moved = isRun
        ? await change("POST", `${path(channel)}/run`)
        : await change("DELETE", path(channel));
      const done = isRun ? "wait in their channel again" : "are dropped";
      const full = moved.full ? ` ${channel} has no room for more now.` : "";
      say(`${count(moved.moved)} ${done}, ${count(moved.left)} are left.${full}`, "good");
      host.refresh();
    },
  });
}

/** @param {any} letter */
function look(letter) {
  const close = el("button", { type: "button", id: "close", click: () => dialog.close() }, "Close");
  const text =
    letter.message === undefined ? letter.base64 : JSON.stringify(letter.message, null, 2);
  const dialog = open(
    "Dead letter",
    [
      facts([
        ["Dead since", moment(letter.dead_since)],
        ["Expires", moment(letter.expires_at)],
        ["Size", size(letter.bytes)],
        ["Message id", letter.message_id && el("span", { class: "mono" }, letter.message_id)],
        ["Its runs", runs(letter)],
      ]),
      el("h3", {}, letter.message === undefined ? "MessagePack in Base64" : "Message"),
      el("pre", { class: "said", id: "letter", tabindex: "0" }, text),
      el("div", { class: "buttons" }, close),
    ],
    "wide",
  );
}
