// What the tests of the client run first in a page of the host.

const { Socket } = await import("/chat/tidegate/index.js");

/** A socket whose events are noted as plain values, and can be waited for. */
class Watched extends Socket {
  events = [];
  #heard = new EventTarget();

  constructor(path, options) {
    super(path, options);
    for (const type of ["open", "message", "gap", "close", "reconnecting", "error", "end"]) {
      this.addEventListener(type, (event) => {
        const { code, reason, attempt, delay, data, unsent, error, resumed } = event;
        const name = error?.name;
        this.events.push({ type, code, reason, attempt, delay, data, unsent, error: name, resumed });
        this.#heard.dispatchEvent(new Event("heard"));
      });
    }
  }

  /** The event of a type that is number `n`, counted from one, once it is there. */
  async until(type, n = 1) {
    for (;;) {
      const event = this.events.filter((event) => event.type === type)[n - 1];
      if (event) return event;
      await new Promise((heard) => this.#heard.addEventListener("heard", heard, { once: true }));
    }
  }

  /** The types of all events. */
  get types() {
    return this.events.map(({ type }) => type);
  }
}

/** A clock whose timers wait until they are run. */
class Held {
  #timers = new Set();
  platform = {
    now: () => 0,
    setTimeout: (run, delay) => {
      const timer = { run, delay };
      this.#timers.add(timer);
      return timer;
    },
    clearTimeout: (timer) => this.#timers.delete(timer),
  };

  get size() {
    return this.#timers.size;
  }

  run() {
    const timers = [...this.#timers];
    this.#timers.clear();
    for (const { run } of timers) run();
  }
}

/** The data of the next message. */
const message = (target) =>
  new Promise((heard) => {
    target.addEventListener("message", ({ data }) => heard(data), { once: true });
  });

Object.assign(window, { Watched, Held, message });
