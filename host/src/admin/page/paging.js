/** The pages of a list, and the buttons that turn them. */

import { el } from "./elements.js";

/**
 * Keeps which page of a list is shown. `turned` shows it.
 *
 * @param {() => void} turned
 */
export function paging(turned) {
  /** Where the pages before began. @type {string[]} */
  const before = [];

  const button = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ cursor) =>
    el(
      "button",
      {
        type: "button",
        id: `${name}-page`,
        "data-key": `${name}-page`,
        click: () => {
          if (name === "next") before.push(pages.cursor);
          else before.pop();
          pages.cursor = cursor;
          turned();
        },
      },
      label,
    );

  const pages = {
    /** Where the page begins; empty for the first one. */
    cursor: "",
    /** The buttons beside a page, by where the next one begins. @param {string | undefined} next */
    buttons: (next) => [
      before.length > 0 && button("previous", "Page before", before.at(-1) ?? ""),
      next !== undefined && button("next", "Next page", next),
    ],
  };
  return pages;
}
