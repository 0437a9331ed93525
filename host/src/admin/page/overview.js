/** The process at a glance: what needs a look, figures, channels, nodes, and which module takes the time. */

import { get } from "./api.js";
import { badge, count, duration, el, moment, replace, row, table } from "./elements.js";
import { Figures, sum } from "./metrics.js";
import { STATES } from "./modules.js";

/** Runs that the table by module is made of. */
const RUNS = 200;
/** Runs are asked for each third time only: they have all lines that modules logged. */
const TURNS = 3;
/** A module whose runs fail more often needs a look. */
const FAILED_SHARE = 0.05;
/** Channels in the table. */
const CHANNELS = 20;
/** A message that has waited so long needs a look. */
const OLD_MS = 10_000;

/** @param {import("./main.js").Host} host */
export function overview(host) {
  const figures = new Figures();
  figures.show(host.history);
  const look = el("div", { id: "look" });
  const nodes = el("div");
  const channels = el("div");
  const modules = el("div");
  /** @type {any[]} */
  let runs = [];
  let turn = 0;
  const element = el(
    "div",
    {},
    el("h1", { tabindex: "-1" }, "Overview"),
    el(
      "section",
      { "aria-labelledby": "h-look" },
      el("h2", { id: "h-look" }, "Needs a look"),
      look,
    ),
    el(
      "section",
      { "aria-labelledby": "h-figures" },
      el("h2", { id: "h-figures" }, "Figures of this process"),
      figures.element,
    ),
    el(
      "section",
      { "aria-labelledby": "h-modules" },
      el("h2", { id: "h-modules" }, `The last ${RUNS} runs`),
      modules,
    ),
    el(
      "section",
      { "aria-labelledby": "h-channels" },
      el("h2", { id: "h-channels" }, "Channels"),
      channels,
    ),
    el(
      "section",
      { "aria-labelledby": "h-nodes" },
      el("h2", { id: "h-nodes" }, "Processes"),
      nodes,
    ),
  );

  async function refresh() {
    const [listed, layer, fleet, found] = await Promise.all([
      get("modules"),
      // While Redis is away there is no depth, and the rest is worth showing.
      get("layer").catch((error) => ({
        fault: error.message,
        channels: [],
        groups: 0,
        delayed: 0,
      })),
      get("nodes"),
      turn++ % TURNS === 0 ? get(`records?limit=${RUNS}`) : null,
    ]);
    if (found) {
      runs = summed(found.records);
      replace(modules, byModule(runs));
    }
    replace(look, toLookAt(host, listed.modules, layer, fleet.nodes, runs));
    replace(channels, ...depth(layer));
    replace(nodes, processes(fleet.nodes));
  }

  return { title: "Overview", element, refresh, figures: () => figures.show(host.history) };
}

/**
 * @param {import("./main.js").Host} host
 * @param {any[]} modules
 * @param {any} layer
 * @param {any[]} nodes
 * @param {Sum[]} runs
 */
function toLookAt(host, modules, layer, nodes, runs) {
  const items = [];
  if (host.readiness && !host.readiness.ready)
    items.push(el("li", {}, `This process is not ready: ${host.readiness.text}`));
  for (const module of modules) {
    const { word, kind, means } = STATES[module.state] ?? {
      word: module.state,
      kind: "bad",
      means: "",
    };
    if (kind === "good") continue;
    const link = el("a", { href: `#modules/${module.name}` }, module.name);
    items.push(
      el(
        "li",
        {},
        link,
        " ",
        badge(word, kind),
        ` ${means} `,
        module.fault && el("span", { class: "said" }, module.fault),
      ),
    );
  }
  for (const { name, runs: all, failed } of runs) {
    if (failed / all <= FAILED_SHARE) continue;
    const link = el(
      "a",
      { href: `#records?module=${name}&outcome=fault` },
      `${count(failed)} of the last ${count(all)} runs`,
    );
    items.push(el("li", {}, link, ` of ${name} failed.`));
  }
  const { step, lost } = host.history;
  if (step && sum(step.now, "slots") > 0 && sum(step.now, "slots_busy") >= sum(step.now, "slots")) {
    const text = runs[0] ? `: of the last runs ${runs[0].name} took the most time.` : ".";
    items.push(el("li", {}, `All slots are busy, so requests wait${text}`));
  }
  for (const [reason, number] of lost)
    items.push(
      el("li", {}, `${count(number)} messages were lost since this page was opened: ${reason}.`),
    );
  for (const { channel, depth, oldest_ms: oldest } of layer.channels) {
    if (oldest < OLD_MS) continue;
    const text = `${count(depth)} wait, the first for ${duration(oldest * 1000)}: its consumers are too slow, too few, or fail.`;
    items.push(el("li", {}, "Channel ", el("strong", {}, channel), ` ${text}`));
  }
  for (const node of nodes)
    for (const { name, fault } of node.modules)
      if (fault)
        items.push(
          el(
            "li",
            {},
            `Process ${node.node} runs another version of ${name}: `,
            el("span", { class: "said" }, fault),
          ),
        );
  if (layer.fault) items.push(el("li", {}, `The channels cannot be read: ${layer.fault}`));
  if (items.length > 0) return el("ul", { class: "look" }, ...items);
  if (modules.length > 0) return el("p", {}, "Nothing.");
  return el(
    "p",
    {},
    "No module is deployed: this process answers every request with 404. ",
    el("a", { href: "#modules" }, "Deploy one"),
    ".",
  );
}

/** @typedef {{ name: string, runs: number, failed: number, wall: number, longest: number }} Sum */

/**
 * The runs of each module, those that took the most time first.
 *
 * @param {any[]} records
 */
function summed(records) {
  /** @type {Map<string, Sum>} */
  const found = new Map();
  for (const { module: name, outcome, wall_us: wall } of records) {
    const it = found.get(name) ?? { name, runs: 0, failed: 0, wall: 0, longest: 0 };
    it.runs += 1;
    it.failed += outcome === "ok" || outcome === "gone" ? 0 : 1;
    it.wall += wall;
    it.longest = Math.max(it.longest, wall);
    found.set(name, it);
  }
  return [...found.values()].sort((a, b) => b.wall - a.wall);
}

/** @param {Sum[]} sums */
function byModule(sums) {
  if (sums.length === 0)
    return el(
      "p",
      { class: "empty" },
      "Nothing ran yet. A request, a frame of a WebSocket or a message of a channel each makes a run.",
    );
  const all = Math.max(
    1,
    sums.reduce((total, { wall }) => total + wall, 0),
  );
  const columns = ["Module", "Runs", "Failed", "Mean time", "Longest", "Share of the time"];
  const rows = sums.map(({ name, runs, failed, wall, longest }) =>
    row(
      columns,
      el("a", { href: `#records?module=${name}`, "data-key": `runs-${name}` }, name),
      count(runs),
      failed > 0 ? badge(count(failed), "bad") : "0",
      duration(wall / runs),
      duration(longest),
      `${Math.round((wall / all) * 100)} %`,
    ),
  );
  return table("The last runs by module", columns, rows);
}

/** @param {any} layer */
function depth(layer) {
  const columns = ["Channel", "Messages", "The first waits"];
  const rows = layer.channels
    .slice(0, CHANNELS)
    .map((/** @type {any} */ it) =>
      row(columns, it.channel, count(it.depth), duration(it.oldest_ms * 1000)),
    );
  const more = layer.channels.length - rows.length;
  const text = [
    rows.length === 0 && !layer.fault && "No channel holds a message.",
    more > 0 && `${count(more)} more channels hold messages.`,
    `${count(layer.groups)} groups have members.`,
    `${count(layer.delayed)} messages wait to be sent later.`,
  ];
  return [
    rows.length > 0 && table("Channels with messages, the fullest first", columns, rows),
    el("p", {}, text.filter(Boolean).join(" ")),
  ];
}

/** @param {any[]} nodes */
function processes(nodes) {
  const columns = ["Process", "Version", "Since", "Connections", "Slots", "Modules"];
  const rows = nodes.map((node) =>
    row(
      columns,
      el("span", { class: "mono" }, node.node),
      node.version,
      moment(node.started_at),
      count(node.connections),
      node.slots === null ? "" : count(node.slots),
      node.modules.map((/** @type {any} */ it) => `${it.name} ${it.version}`).join(", ") || "none",
    ),
  );
  return table("Processes that share the channels", columns, rows);
}
