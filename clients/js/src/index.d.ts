/** Types of the client. The README says what things mean; `options.js` has the defaults. */

export type Advice = "end" | "spread" | "backoff" | "later";
export type State = "connecting" | "open" | "waiting" | "closing" | "closed";
export type Token = string | null | undefined;
export type Data = string | ArrayBuffer | ArrayBufferView | Blob;

/** How a connection or an attempt ended. */
export interface Ending {
  code: number;
  reason: string;
  wasClean: boolean;
  /** Whether it had been open. */
  opened: boolean;
  /** How many failed in a row, this one included. */
  attempt: number;
}

/** All times are in milliseconds. */
export interface Options {
  protocols?: string | string[];
  /** Gives the token of the user, before each attempt; nothing for none. */
  token?: (how: { fresh: boolean }) => Token | Promise<Token>;
  /** Whether a connection that was lost goes on where it stopped, if the host lets it. */
  resume?: boolean;
  binaryType?: BinaryType;
  first?: number;
  longest?: number;
  factor?: number;
  spread?: number;
  later?: number;
  stableAfter?: number;
  openTimeout?: number;
  idleTimeout?: number;
  queueMessages?: number;
  queueBytes?: number;
  shouldReconnect?: (ending: Ending) => boolean | undefined;
  platform?: Partial<Platform>;
}

/** The world around the client, for tests. */
export interface Platform {
  WebSocket: typeof WebSocket;
  now(): number;
  setTimeout(run: () => void, delay: number): unknown;
  clearTimeout(timer: any): void;
  random(): number;
  page: {
    online(): boolean;
    hidden(): boolean;
    watch(page: { wake(): void; leave(): void }, signal: AbortSignal): void;
  };
}

export interface SocketEvents {
  open: Event & { resumed: boolean };
  message: MessageEvent & { group?: string; position?: string };
  gap: Event & { group: string; position: string };
  close: Event & { code: number; reason: string; wasClean: boolean };
  reconnecting: Event & { attempt: number; delay: number; code: number; reason: string };
  error: Event & { error: unknown; data?: unknown };
  end: Event & { code: number; reason: string; unsent: Data[] };
}

interface Typed<Events> extends Omit<EventTarget, "addEventListener" | "removeEventListener"> {
  addEventListener<K extends keyof Events>(
    type: K,
    listener: ((event: Events[K]) => void) | { handleEvent(event: Events[K]): void } | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof Events>(
    type: K,
    listener: ((event: Events[K]) => void) | { handleEvent(event: Events[K]): void } | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

export interface Socket extends Typed<SocketEvents> {
  readonly url: string;
  readonly state: State;
  readonly protocol: string;
  readonly bufferedAmount: number;
  send(data: Data): void;
  sendJson(value: unknown): void;
  stream(name: string): Stream;
  position(group: string): string | undefined;
  forget(group: string): void;
  presence<Facts = unknown>(group?: string): Presence<Facts>;
  close(code?: number, reason?: string): void;
}
export const Socket: { new (url: string | URL, options?: Options): Socket };

export interface Stream extends Typed<{ message: MessageEvent }> {
  readonly name: string;
  send(payload: unknown): void;
  close(): void;
}

export interface Presence<Facts = unknown>
  extends Typed<{ change: Event & { joined: string[]; updated: string[]; left: string[] } }> {
  readonly members: Map<string, Facts>;
  readonly count: number;
  readonly current: boolean;
  readonly listed: boolean;
}

export class SendError extends Error {
  private constructor();
  readonly reason: "not-open" | "queue-full" | "ended" | "lost";
}
export class FrameError extends Error {
  private constructor();
}

export function advice(code: number): Advice;
