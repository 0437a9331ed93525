/** The groups of the test host: who is in them, who is present there, and what they remember. */

import { Http } from "./connection.js";
import { isForThosePresent } from "./forms.js";
import { Histories } from "./history.js";
import { Presences } from "./presence.js";

/** @typedef {import("./world.js").World} World */
/** @typedef {import("./world.js").Item} Item */
/** @typedef {import("./forms.js").Reply} Reply */

export class Groups {
  #world;
  /** @type {Map<string, Set<string>>} */
  #groups = new Map();

  /** @param {World} world */
  constructor(world) {
    this.#world = world;
    this.presence = new Presences();
    this.histories = new Histories(world);
  }

  /**
   * The channels in a group, in order.
   *
   * @param {string} group
   */
  channels(group) {
    return [...(this.#groups.get(group) ?? [])].sort();
  }

  /**
   * @param {string} group
   * @param {string} channel
   * @returns {boolean} whether the channel is in the group now
   */
  add(group, channel) {
    if (channel.includes("!") && !this.#world.connections.get(channel)?.isAlive) {
      this.#world.drops.push(`${group}: ${channel} is gone`);
      return false;
    }
    const channels = this.#groups.get(group) ?? new Set();
    this.#groups.set(group, channels.add(channel));
    return true;
  }

  /**
   * Makes a connection a member that sees positions, and sends it what it has missed.
   *
   * @param {Extract<Item, { is: "group-join" }>} item
   */
  join(item) {
    const { group, channel } = item;
    if (this.histories.isFollowing(group, channel) || !this.add(group, channel)) return;
    const missed = this.histories.follow(item);
    if (!missed) return;
    const { from, complete, messages } = missed;
    const connection = this.#world.connections.get(channel);
    if (connection instanceof Http) connection.stand(group, from, complete);
    else this.#world.reply(channel, enveloped("from", { group, position: from, complete }), true);
    for (const { position, content } of messages)
      this.#deliverNumbered(channel, group, position, content);
  }

  /**
   * @param {string} group
   * @param {string} channel
   */
  discard(group, channel) {
    this.#groups.get(group)?.delete(channel);
    this.histories.unfollow(channel, group);
    this.presence.leave(group, channel, this.#world.now);
  }

  /**
   * Ends all memberships of a channel.
   *
   * @param {string} channel
   */
  leave(channel) {
    for (const channels of this.#groups.values()) channels.delete(channel);
    this.histories.unfollow(channel);
    this.presence.leaveAll(channel, this.#world.now);
  }

  /**
   * @param {string} group
   * @param {Uint8Array} content
   * @param {string} correlation
   */
  send(group, content, correlation) {
    const world = this.#world;
    const position = isForThosePresent(content) ? undefined : this.histories.remember(group, content);
    for (const member of this.channels(group)) {
      if (position !== undefined && this.histories.isFollowing(group, member))
        this.#deliverNumbered(member, group, position, content);
      else world.deliver(member, content, correlation, { id: world.nextId(), attempt: 1 }, true);
    }
    world.groupSent.push({ to: group, content });
  }

  /**
   * Sends a message with its position to a member that sees them.
   *
   * @param {string} channel
   * @param {string} group
   * @param {string} position
   * @param {Uint8Array} content
   */
  #deliverNumbered(channel, group, position, content) {
    this.#world.replyEach(channel, content, (reply) => {
      const connection = this.#world.connections.get(channel);
      if (connection instanceof Http) return connection.numbered(reply, position);
      if (reply.is !== "send") return reply;
      const { tag, val } = reply.frame;
      const sent = tag === "text" ? { text: val } : { base64: Buffer.from(val).toString("base64") };
      return enveloped("message", { group, position, ...sent });
    });
  }

  /** @param {Extract<Item, { is: "present" }>} item */
  present(item) {
    const { group, channel } = item;
    if (!this.add(group, channel)) return;
    const { app, module, now } = this.#world;
    const list = this.presence.join(item, { entries: app.entries, module, now });
    if (list !== undefined) this.#tellClient(channel, list);
  }

  /**
   * Announces who came to groups and left them.
   *
   * @returns {boolean} whether there was anything to announce
   */
  announce() {
    const announced = this.presence.announce(this.#world.now);
    for (const { group, forClients, forChannels } of announced) {
      const connections = this.channels(group).filter((channel) => channel.includes("!"));
      if (forClients !== undefined)
        for (const channel of connections) this.#tellClient(channel, forClients);
      if (!forChannels) continue;
      const correlation = this.#world.nextId();
      for (const channel of forChannels.channels)
        this.#world.send(channel, forChannels.content, correlation);
    }
    return announced.length > 0;
  }

  /**
   * Tells a client who is in a group.
   *
   * @param {string} channel
   * @param {string} json
   */
  #tellClient(channel, json) {
    const isHttp = this.#world.connections.get(channel) instanceof Http;
    /** @type {Reply} */
    const reply = isHttp
      ? { is: "chunk", chunk: Buffer.from(`event: presence\ndata: ${json}\n\n`) }
      : { is: "send", frame: { tag: "text", val: `{"presence":${json}}` } };
    this.#world.reply(channel, reply, true);
  }
}

/**
 * What a WebSocket is sent that sees positions.
 *
 * @param {"from" | "message"} kind
 * @param {object} fields
 * @returns {Reply}
 */
function enveloped(kind, fields) {
  const val = JSON.stringify({ tidegate: kind, ...fields });
  return { is: "send", frame: { tag: "text", val } };
}
