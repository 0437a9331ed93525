/**
 * Makes elements. Text of modules and clients becomes text nodes only: nothing here or elsewhere in the page
 * reads markup from a string.
 */

/**
 * @param {string} name
 * @param {Record<string, any>} [attributes] a function listens to the event of its name
 * @param {...(Node | string | number | null | undefined | false)} children
 * @returns {any}
 */
export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/**
 * The same for drawings.
 *
 * @param {string} name
 * @param {Record<string, any>} [attributes]
 * @param {...Node} children
 */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

/**
 * @param {Element} element
 * @param {Record<string, any>} attributes
 * @param {any[]} children
 */
function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value !== undefined && value !== null && value !== false)
      element.setAttribute(key, value === true ? "" : String(value));
  }
  const there = children.filter(
    (child) => child !== null && child !== undefined && child !== false,
  );
  element.append(...there.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/**
 * A table that is a list of cards on a narrow screen. The roles are written out, since a cell that is no
 * table cell for the style would be none for screen readers.
 *
 * @param {string} label
 * @param {string[]} columns
 * @param {HTMLElement[]} rows
 */
export function table(label, columns, rows) {
  const head = columns.map((column) => el("th", { role: "columnheader", scope: "col" }, column));
  return el(
    "table",
    { role: "table", "aria-label": label },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...head)),
    el("tbody", { role: "rowgroup" }, ...rows),
  );
}

/**
 * @param {string[]} columns
 * @param {...any} cells
 */
export function row(columns, ...cells) {
  const made = cells.map((cell, at) =>
    el(
      at === 0 ? "th" : "td",
      {
        role: at === 0 ? "rowheader" : "cell",
        scope: at === 0 ? "row" : false,
        "data-label": columns[at],
      },
      el("span", {}, cell),
    ),
  );
  return el("tr", { role: "row" }, ...made);
}

/**
 * A list of names and values.
 *
 * @param {[string, any][]} pairs those without a value are left out
 */
export function facts(pairs) {
  const there = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el(
    "dl",
    {},
    ...there.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
  );
}

/**
 * Gives the focus to the control with a `data-key`, or else to the content.
 *
 * @param {ParentNode} place
 * @param {string} key
 */
export function focusOn(place, key) {
  const found = [...place.querySelectorAll("[data-key]")].find(
    (it) => it.getAttribute("data-key") === key,
  );
  (found ?? document.getElementById("main")).focus({ preventScroll: true });
}

/**
 * Replaces what an element shows. The focus stays on the control with the same `data-key`.
 *
 * @param {Element} place
 * @param {...any} children
 */
export function replace(place, ...children) {
  const active = document.activeElement;
  const key = active && place.contains(active) ? active.getAttribute("data-key") : null;
  place.replaceChildren(...children.filter((child) => child !== null && child !== false));
  if (key) focusOn(place, key);
}

const DAY = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short" });
const TIME = new Intl.DateTimeFormat("sv-SE", { timeStyle: "medium" });

/**
 * A moment in the time of the reader.
 *
 * @param {string | null | undefined} text RFC 3339
 */
export function moment(text) {
  if (!text) return "";
  const date = new Date(text);
  const day = DAY.format(date);
  const today = day === DAY.format(new Date());
  const shown = today ? TIME.format(date) : `${day} ${TIME.format(date)}`;
  return el("time", { datetime: text, title: text }, shown);
}

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** @param {number} value */
export const count = (value) => NUMBER.format(value);

/** @param {number} value */
export const short = (value) => SHORT.format(value);

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(0)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** @param {number} microseconds */
export function duration(microseconds) {
  if (microseconds < 1000) return `${microseconds.toFixed(0)} µs`;
  if (microseconds < 1e6) return `${(microseconds / 1000).toFixed(microseconds < 1e4 ? 1 : 0)} ms`;
  return `${(microseconds / 1e6).toFixed(1)} s`;
}

/**
 * A word with the colour of its kind: the word says what it is, not the colour.
 *
 * @param {string} word
 * @param {"good" | "watch" | "bad" | "plain"} kind
 */
export const badge = (word, kind) => el("span", { class: `badge ${kind}` }, word);
