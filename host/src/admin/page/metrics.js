/** Reads `/metrics`, and draws what changes. */

import { el, short, svg } from "./elements.js";

/** Points of a drawing: five minutes at one each three seconds. */
const POINTS = 100;
/** Outcomes of runs that are no faults. */
const FINE = ["ok", "gone"];

/** @typedef {{ labels: Record<string, string>, value: number }} Series */
/** @typedef {Map<string, Series[]>} Sample */

/**
 * @param {string} text in the form of OpenMetrics
 * @returns {Sample}
 */
export function parse(text) {
  /** @type {Sample} */
  const sample = new Map();
  for (const line of text.split("\n")) {
    const found = /^([a-z_]+)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!found) continue;
    const [, name, written, value] = found;
    /** @type {Record<string, string>} */
    const labels = {};
    for (const [, key, text] of (written ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
      labels[key] = text.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    if (!sample.has(name)) sample.set(name, []);
    sample.get(name)?.push({ labels, value: Number(value) });
  }
  return sample;
}

/**
 * @param {Sample} sample
 * @param {string} name
 * @param {(labels: Record<string, string>) => boolean} [of]
 */
export function sum(sample, name, of = () => true) {
  const series = (sample.get(`tidegate_${name}`) ?? []).filter(({ labels }) => of(labels));
  return series.reduce((total, { value }) => total + value, 0);
}

/** @param {Record<string, string>} labels */
const failed = ({ outcome }) => !FINE.includes(outcome);

/** Two samples, of which one came some seconds after the other. */
class Step {
  /**
   * @param {Sample} before
   * @param {Sample} now
   * @param {number} seconds
   */
  constructor(before, now, seconds) {
    this.before = before;
    this.now = now;
    this.seconds = seconds;
  }

  /**
   * How much a counter grew. It is less than before after another start of the process, and then unknown.
   *
   * @param {string} name
   * @param {(labels: Record<string, string>) => boolean} [of]
   */
  grown(name, of) {
    const grown = sum(this.now, name, of) - sum(this.before, name, of);
    return grown < 0 ? NaN : grown;
  }

  /**
   * @param {string} name
   * @param {(labels: Record<string, string>) => boolean} [of]
   */
  rate(name, of) {
    return this.grown(name, of) / this.seconds;
  }

  /**
   * The mean of a histogram of seconds, in milliseconds.
   *
   * @param {string} name
   */
  mean(name) {
    const events = this.grown(`${name}_count`);
    return events === 0 ? 0 : (this.grown(`${name}_sum`) / events) * 1000;
  }

  /**
   * Runs per second of a module, and those that failed.
   *
   * @param {string} module
   */
  runs(module) {
    const ours = (/** @type {Record<string, string>} */ labels) => labels.module === module;
    return {
      all: this.rate("invocations_total", ours),
      failed: this.rate("invocations_total", (labels) => ours(labels) && failed(labels)),
    };
  }
}

/** The figures, in the order in which they are shown. */
const FIGURES = [
  { title: "Requests per second", of: (/** @type {Step} */ step) => step.rate("responses_total") },
  { title: "Open connections", of: (/** @type {Step} */ step) => sum(step.now, "connections") },
  {
    title: "Messages that wait",
    of: (/** @type {Step} */ step) => sum(step.now, "channel_messages"),
  },
  {
    title: "Faults per second",
    of: (/** @type {Step} */ step) => step.rate("invocations_total", failed),
  },
  {
    title: "Busy slots",
    of: (/** @type {Step} */ step) => sum(step.now, "slots_busy"),
    most: "slots",
  },
  {
    title: "Wait for a slot, ms",
    of: (/** @type {Step} */ step) => step.mean("queue_wait_seconds"),
  },
  { title: "Run time, ms", of: (/** @type {Step} */ step) => step.mean("run_time_seconds") },
  {
    title: "Lost messages per second",
    of: (/** @type {Step} */ step) => step.rate("messages_dropped_total"),
  },
];

/** The last samples and the figures made of them. */
export class History {
  /** @type {Step | null} */
  step = null;
  /** @type {number[][]} */
  points = FIGURES.map(() => []);
  /** Messages that were lost since something was full, by reason. @type {Map<string, number>} */
  lost = new Map();
  /** @type {Sample | null} */
  #last = null;
  #at = 0;

  /**
   * @param {string} text
   * @param {number} now in milliseconds
   */
  add(text, now) {
    const sample = parse(text);
    if (this.#last && now > this.#at) {
      const step = new Step(this.#last, sample, (now - this.#at) / 1000);
      this.step = step;
      this.#count(step);
      FIGURES.forEach(({ of }, at) => {
        this.points[at].push(of(step));
        if (this.points[at].length > POINTS) this.points[at].shift();
      });
    }
    this.#last = sample;
    this.#at = now;
  }

  /** @param {Step} step */
  #count(step) {
    const series = step.now.get("tidegate_messages_dropped_total") ?? [];
    for (const { reason } of series.map(({ labels }) => labels)) {
      const grown = step.grown("messages_dropped_total", (labels) => labels.reason === reason);
      if (grown > 0 && reason.endsWith("full"))
        this.lost.set(reason, (this.lost.get(reason) ?? 0) + grown);
    }
  }
}

/** The figures as cards, each with a line that is drawn on. */
export class Figures {
  #cards = FIGURES.map(({ title }) => {
    const value = el("span", { class: "value" }, "–");
    const most = el("span", { class: "most" });
    const line = svg("polyline", { points: "", "vector-effect": "non-scaling-stroke" });
    const area = svg("polygon", { points: "" });
    const drawing = svg(
      "svg",
      {
        viewBox: "0 0 100 30",
        preserveAspectRatio: "none",
        "aria-hidden": "true",
        focusable: "false",
      },
      area,
      line,
    );
    const element = el(
      "li",
      { class: "figure" },
      el("h3", {}, title),
      el("p", {}, value, most),
      drawing,
    );
    return { element, value, most, line, area };
  });

  element = el(
    "ul",
    { class: "figures", "aria-label": "Figures of the last five minutes" },
    ...this.#cards.map(({ element }) => element),
  );

  /** @param {History} history */
  show(history) {
    const { step } = history;
    if (!step) return;
    FIGURES.forEach(({ most: limit }, at) => {
      const points = history.points[at];
      const known = points.filter((point) => !Number.isNaN(point));
      const last = points.at(-1) ?? NaN;
      const { value, most, line, area } = this.#cards[at];
      const top = Math.max(...known, 0);
      value.textContent = Number.isNaN(last) ? "–" : short(last);
      most.textContent = limit ? `of ${sum(step.now, limit)}` : `max ${short(top)}`;
      const drawn = path(points, limit ? sum(step.now, limit) : top);
      line.setAttribute("points", drawn.join(" "));
      const first = drawn[0]?.split(",")[0] ?? 0;
      area.setAttribute("points", drawn.length > 0 ? `${first},30 ${drawn.join(" ")} 100,30` : "");
    });
  }
}

/**
 * @param {number[]} points
 * @param {number} top
 */
function path(points, top) {
  const from = POINTS - points.length;
  return points.map((point, at) => {
    const height = top > 0 && !Number.isNaN(point) ? (point / top) * 26 : 0;
    return `${(((from + at) / (POINTS - 1)) * 100).toFixed(2)},${(28.5 - height).toFixed(2)}`;
  });
}
