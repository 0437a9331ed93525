/** The consumers of a module. */

import { Guarded, joined } from "./access.js";
import { kind } from "./bytes.js";
import { DeclarationError } from "./errors.js";
import { checkApart } from "./apart.js";
import { checkOnce } from "./history.js";
import { checkName } from "./route.js";

/** @typedef {import("./types.js").Consumers} Consumers */
/** @typedef {import("./types.js").Consumer} Consumer */

/**
 * @typedef {Consumer & { readonly name: string, readonly prefix: string }} Entry
 */

/** A module's consumers; `app` makes it. */
export class App {
  /** @param {readonly Entry[]} entries */
  constructor(entries) {
    /** @type {readonly Entry[]} */
    this.entries = entries;
    /** @type {Map<string, Entry>} */
    this.byName = new Map(entries.map((entry) => [entry.name, entry]));
  }
}

/**
 * Lists the consumers of a module. It is the default export of the file that is built. What is not
 * listed is not deployed.
 *
 * ```js
 * export default app({
 *   hello: http("GET /hello/{name}", ({ params }) => `Hello, ${params.name}!\n`),
 *   "/api": { list, item },
 * });
 * ```
 *
 * A key is the name of the consumer. A key that begins with `/` puts a prefix before the paths of a
 * group; under it the path `/` is the prefix itself.
 *
 * @param {Consumers | Guarded} consumers
 * @returns {App}
 * @throws {DeclarationError} two consumers cannot be told apart, or something else is listed
 */
export function app(consumers) {
  /** @type {Entry[]} */
  const entries = [];
  collect(consumers, "", undefined, entries);
  if (entries.length === 0)
    throw new DeclarationError("app() lists no consumer: give { name: http(...) }");
  checkApart(entries);
  checkOnce(entries);
  return new App(entries);
}

/**
 * @param {unknown} consumers
 * @param {string} prefix
 * @param {Consumer["access"]} access what all of them ask of the user
 * @param {Entry[]} into
 */
function collect(consumers, prefix, access, into) {
  if (consumers instanceof Guarded) {
    const both = joined(access, consumers.access, "guarded()");
    collect(consumers.consumers, prefix, both, into);
    return;
  }
  if (typeof consumers !== "object" || consumers === null) {
    throw new DeclarationError(`app() lists ${kind(consumers)}: give an object of consumers`);
  }
  for (const [name, listed] of Object.entries(consumers)) {
    if (name.startsWith("/")) {
      checkPrefix(name);
      collect(listed, prefix + name, access, into);
    } else {
      into.push(entry(checkName(name, "consumer"), listed, prefix, access));
    }
  }
}

/** @param {string} prefix */
function checkPrefix(prefix) {
  if (prefix === "/" || prefix.endsWith("/") || /[{}]/.test(prefix)) {
    throw new DeclarationError(
      `prefix ${JSON.stringify(prefix)}: it has no slash at its end and no parameters`,
    );
  }
}

/**
 * @param {string} name
 * @param {unknown} listed
 * @param {string} prefix
 * @param {Consumer["access"]} outer
 * @returns {Entry}
 */
function entry(name, listed, prefix, outer) {
  if (!isConsumer(listed)) {
    throw new DeclarationError(
      `consumer \`${name}\` is ${kind(listed)}: give what http, websocket or channel returns`,
    );
  }
  const { trigger } = listed;
  if (trigger.tag === "channel") {
    if (prefix)
      throw new DeclarationError(
        `consumer \`${name}\` of a channel has no path: list it outside of the prefix ${prefix}`,
      );
    if (outer)
      throw new DeclarationError(
        `consumer \`${name}\` of a channel has no user: list it outside of guarded()`,
      );
    return { ...listed, name, prefix };
  }
  const access = joined(outer, listed.access, `consumer \`${name}\``);
  return { ...listed, name, prefix, trigger: mounted(trigger, prefix), access };
}

/**
 * @param {unknown} listed
 * @returns {listed is Consumer}
 */
function isConsumer(listed) {
  const consumer = /** @type {Partial<Consumer> | null | undefined} */ (listed);
  return typeof consumer === "object" && !!consumer?.trigger && !!consumer.run;
}

/**
 * @param {Exclude<import("./types.js").Trigger, { tag: "channel" }>} trigger
 * @param {string} prefix
 * @returns {import("./types.js").Trigger}
 */
function mounted(trigger, prefix) {
  const path = prefix && trigger.val.path === "/" ? prefix : prefix + trigger.val.path;
  return trigger.tag === "http"
    ? { tag: "http", val: { ...trigger.val, path } }
    : { tag: "websocket", val: { ...trigger.val, path } };
}
