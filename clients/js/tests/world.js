/** A world for the client in which nothing happens by itself: sockets, clock, chance and page. */

import { Socket } from "../src/index.js";

class FakeSocket {
  readyState = 0;
  bufferedAmount = 0;
  protocol = "";
  sent = [];
  closed = [];
  onopen = null;
  onmessage = null;
  onclose = null;

  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
  }

  send(data) {
    this.sent.push(data);
  }

  close(...how) {
    this.readyState = 2;
    this.closed.push(how);
  }

  /** The server lets it in. */
  open() {
    this.readyState = 1;
    this.onopen?.();
  }

  /** A message comes. */
  message(data) {
    this.onmessage?.({ data, origin: "" });
  }

  /** It ends. */
  end(code, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason, wasClean: code !== 1006 });
  }
}

export class World {
  time = 0;
  sockets = [];
  timers = [];
  chance = 0.5;
  isOnline = true;
  isHidden = false;
  events = [];

  /** A socket whose events are noted. */
  connect(options = {}, url = "ws://host/path") {
    const socket = new Socket(url, { ...options, platform: this.platform() });
    for (const type of ["open", "message", "gap", "close", "reconnecting", "error", "end"]) {
      socket.addEventListener(type, (event) => this.events.push(event));
    }
    return socket;
  }

  /** The latest of the browser's sockets. */
  get last() {
    return this.sockets.at(-1);
  }

  /** The latest event of a type. */
  event(type) {
    return this.events.findLast((event) => event.type === type);
  }

  /** The types of all events. */
  get types() {
    return this.events.map((event) => event.type);
  }

  /** Lets time pass, and runs what is due. */
  pass(milliseconds) {
    const until = this.time + milliseconds;
    for (;;) {
      const due = this.timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.time = Math.max(this.time, due.at);
      this.platform().clearTimeout(due);
      due.run();
    }
    this.time = until;
  }

  platform() {
    const world = this;
    return {
      WebSocket: class extends FakeSocket {
        constructor(...given) {
          super(...given);
          world.sockets.push(this);
        }
      },
      now: () => this.time,
      setTimeout: (run, delay) => {
        const timer = { run, at: this.time + delay };
        this.timers.push(timer);
        return timer;
      },
      clearTimeout: (timer) => (this.timers = this.timers.filter((other) => other !== timer)),
      random: () => this.chance,
      page: {
        online: () => this.isOnline,
        hidden: () => this.isHidden,
        watch: (page, signal) => {
          this.page = page;
          this.signal = signal;
        },
      },
    };
  }
}
