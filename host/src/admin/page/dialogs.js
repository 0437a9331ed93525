/** Questions before changes, and the lines that say how they ended. */

import { el, focusOn } from "./elements.js";

let made = 0;

/**
 * Opens a dialog. Escape and the button close it; it is taken off the page then.
 *
 * @param {string} title
 * @param {any[]} content
 * @param {string} [wide] a class
 * @returns {HTMLDialogElement}
 */
export function open(title, content, wide = "") {
  const id = `dialog-${++made}`;
  const dialog = el(
    "dialog",
    { "aria-labelledby": id, class: wide },
    // A long dialog is read from its beginning: the focus does not begin at the button below.
    el("h2", { id, tabindex: wide !== "" && "-1", autofocus: wide !== "" }, title),
    ...content,
  );
  const key = document.activeElement?.getAttribute("data-key");
  dialog.addEventListener("close", () => {
    dialog.remove();
    // The button that opened it may have been drawn anew meanwhile.
    if (key && document.activeElement === document.body) focusOn(document, key);
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Closes all dialogs, as when another view is shown. */
export function closeAll() {
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
}

/**
 * Asks, and does it if the answer is yes. A refusal of the host stays in the dialog.
 *
 * @param {object} question
 * @param {string} question.title
 * @param {any[]} question.content
 * @param {string} question.action the button that does it
 * @param {string} question.working the same while it is being done
 * @param {boolean} [question.danger] the focus begins at the other button
 * @param {() => Promise<unknown>} question.work
 */
export function ask({ title, content, action, working, danger = false, work }) {
  const trouble = el("p", { class: "trouble", role: "alert" });
  const yes = el(
    "button",
    { type: "submit", class: danger ? "danger" : "primary", id: "yes" },
    action,
  );
  const no = el(
    "button",
    { type: "button", id: "no", autofocus: danger, click: () => dialog.close() },
    "Cancel",
  );
  const form = el("form", {}, ...content, trouble, el("div", { class: "buttons" }, no, yes));
  const dialog = open(title, [form]);
  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (yes.disabled) return;
    yes.disabled = true;
    yes.textContent = working;
    trouble.textContent = "";
    try {
      await work();
      dialog.close();
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (dialog.isConnected) trouble.textContent = text;
      else say(text, "bad");
    } finally {
      yes.disabled = false;
      yes.textContent = action;
    }
  });
}

/**
 * Shows a line until it is dismissed or the next one comes.
 *
 * @param {string} text
 * @param {"good" | "watch" | "bad"} kind
 * @param {string[]} [more]
 */
export function say(text, kind, more = []) {
  const place = document.getElementById("notices");
  const dismiss = () => {
    place?.replaceChildren();
    document.getElementById("main")?.focus({ preventScroll: true });
  };
  const lines = more.length > 0 && el("ul", {}, ...more.map((line) => el("li", {}, line)));
  const button = el("button", { type: "button", click: dismiss }, "Dismiss");
  place?.replaceChildren(
    el(
      "div",
      { class: `notice ${kind}`, role: kind === "bad" ? "alert" : false },
      el("div", {}, el("p", {}, text), lines),
      button,
    ),
  );
}
