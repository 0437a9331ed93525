/** Files as text or bytes: `import page from "./page.html?text"`. */

const KIND = /^(.*)\?(text|bytes)$/;

/**
 * @param {string} specifier
 * @returns {{ path: string, as: "text" | "bytes" } | undefined}
 */
export function readSpecifier(specifier) {
  const [, path, as] = KIND.exec(specifier) ?? [];
  return path === undefined ? undefined : { path, as: /** @type {"text" | "bytes"} */ (as) };
}
