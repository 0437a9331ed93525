/** Routes: which consumer answers what. */

import { get } from "./api.js";
import { el, moment, replace, row, table } from "./elements.js";

/**
 * @param {any[]} routes
 * @param {boolean} withModule
 */
export function routesTable(routes, withModule) {
  if (routes.length === 0)
    return el(
      "p",
      { class: "empty" },
      "There are none: no active version serves a path or reads a channel.",
    );
  const columns = ["Route", ...(withModule ? ["Module"] : []), "Consumer", "Guards and schedule"];
  const rows = routes.map((route) => {
    const { module, consumer, trigger, method, pattern, channel, guards, schedule } = route;
    const kind = method ?? (trigger === "websocket" ? "WebSocket" : "channel");
    return row(
      columns,
      el(
        "span",
        {},
        el("span", { class: "kind" }, kind),
        " ",
        el("span", { class: "mono" }, pattern ?? channel),
      ),
      ...(withModule ? [el("a", { href: `#modules/${module}` }, module)] : []),
      consumer,
      el(
        "span",
        {},
        [...guards, ...(schedule ? [`${schedule.expression} ${schedule.zone}`] : [])].join(", "),
        schedule && (schedule.next ? el("span", {}, ", next ", moment(schedule.next)) : ", never again"),
      ),
    );
  });
  return table("Routes", columns, rows);
}

/** @param {import("./main.js").Host} _host */
export function routes(_host) {
  const list = el("div");
  let shown = "";
  const element = el("div", {}, el("h1", { tabindex: "-1" }, "Routes"), list);

  async function refresh() {
    const { routes } = await get("routes");
    const text = JSON.stringify(routes);
    if (text === shown) return;
    shown = text;
    replace(list, routesTable(routes, true));
  }

  return { title: "Routes", element, refresh };
}
