/** Types alone: the wire forms of the contract, the host behind a run, and options. */

import type { Bytes } from "./bytes.js";
import type { SetCookie } from "cookie";
import type { Chunk, Close, Frame } from "./messages.js";
import type { Answer, FetchFailure, Fetched as Result } from "./fetched.js";
import type { Hold, Response, Streamed } from "./response.js";
import type { Request } from "./request.js";
import type { Context } from "./context.js";
import type { Tick } from "./schedule.js";
import type { Event } from "./sse.js";
import type { Socket } from "./socket.js";

/** A value, or a promise of it. */
export type Awaitable<T> = T | Promise<T>;

/** Names and values of header fields, in an object or a list. */
export type HeaderFields = Record<string, Bytes> | Iterable<[string, Bytes]>;

/** How a Response begins. */
export interface ResponseInit {
    /** 200 to 599; 200 if not given. */
    status?: number;
    headers?: HeaderFields;
}

/** Attributes of a cookie. */
export type CookieOptions = Omit<SetCookie, "name" | "value">;

/** Content of a message: an object with text keys, or a form for connections. */
export type Message = object | Event | Frame | Response | Close | Chunk | Tick;

/** How much a line of the record matters. */
export type Level = "trace" | "debug" | "info" | "warn" | "error";

// What `{name}` and `{*name}` of a path are.

type Segment<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
    ? Bare<Name> | Segment<Rest>
    : never;
type Bare<Name extends string> = Name extends `*${infer Rest}` ? Rest : Name;

/** Reads the text that a path parameter stands for. Throwing, or returning `undefined`, means that nothing is there. */
export type Parse = (text: string) => unknown;

/** Readers of some parameters of a path. */
export type Parsers<Path extends string> = { readonly [Name in Segment<Path>]?: Parse };

/** The parameters of a path: text, unless a reader makes something else of it. */
export type Params<Path extends string, Readers> = string extends Path
    ? Record<string, any>
    : {
          readonly [Name in Segment<Path>]: Name extends keyof Readers
              ? Readers[Name] extends (text: string) => infer Value
                  ? Exclude<Value, undefined>
                  : string
              : string;
      };

/** What else must hold of a request. */
export interface Guards {
    /** A name, or `*.example.com` for every name under a domain. */
    host?: string;
    /** Header fields that the request must have, with exactly these values. */
    headers?: Record<string, string>;
}

/** A value that a claim is compared with. Types count: `1` is not `"1"`. */
export type ClaimValue = string | number | bigint | boolean;

/** What a consumer asks of the user. The host finds out who it is before it runs the consumer, by a token. */
export interface Access {
    /**
     * `required`: the host answers 401 where nobody is signed in, and refuses a handshake with the same status. `optional`:
     * the consumer runs for everybody, and `cx.user` is there where somebody is signed in. Without it, and without `claims`,
     * the host does not look for tokens.
     */
    user?: "required" | "optional";
    /**
     * Names of claims, each with a value, or several of which one is enough: a user whose claims are others gets 403. A claim
     * that is a list must have one of the values. Claims ask for a user by themselves.
     */
    claims?: Record<string, ClaimValue | readonly ClaimValue[]>;
}

/**
 * Groups of the module, without the module's part; `*` alone or behind the last dot stands for all that begin so. The
 * host tells who comes to them and leaves: the clients that are in them, or the channel of the consumer.
 */
export interface Presence {
    /** A name, or up to 32. */
    groups: string | readonly string[];
    /**
     * How long a member without connections stays, in milliseconds: 10,000 if not given, at most an hour. A browser that
     * loads its page again within it is no change.
     */
    leaveAfter?: number;
    /** The time between two announcements, in milliseconds: 1,000 if not given, 100 to 60,000. */
    interval?: number;
    /** The most members of which clients get a list: 100 if not given, at most 1,000. Beyond, they get the count. */
    list?: number;
}

/** How much of a group is remembered. What is beyond any of the numbers is gone. */
export interface HistoryRule {
    /** Messages: 100 if not given, 1 to 10,000. */
    messages?: number;
    /** For how long, in milliseconds: an hour if not given, a second to 30 days, in whole seconds rounded up. */
    age?: number;
    /** Bytes of them: 262,144 if not given, 1,024 to 16,777,216. */
    bytes?: number;
}

/** What a consumer of any kind declares about groups that are remembered. */
export interface Remembering {
    /**
     * Groups of the module that the host remembers, without the module's part; `*` alone or behind the last dot stands for
     * all that begin so. Names, or an object that says how much of each is kept. Of those that match a group the most
     * exact one counts.
     */
    history?: string | readonly string[] | Readonly<Record<string, HistoryRule>>;
}

/** What a consumer declares about groups. Where several consumers name one, the longest times and the longest list hold. */
export interface OfGroups extends Remembering {
    /** Whose clients are told who comes and goes: names of groups, or names and more. */
    presence?: string | readonly string[] | Presence;
}

/** From where on a connection gets the messages of a group. */
export interface Since {
    /**
     * The position that its client had last, such as `cx.lastPosition` has. If messages behind it are gone, the client is
     * told so. From now on if not given.
     */
    after?: string | undefined;
    /** So many of the latest messages come first where there is no position, or messages behind it are gone: 1,000 at most. */
    latest?: number;
}

/** A message of a history. `M` is its type. */
export interface Remembered<M = any> {
    /** The place behind the message. */
    position: string;
    /** The message as it was sent; a Frame has `type`, and `text` or `bytes`. */
    message: M;
}

/** A part of a history, oldest first and without holes. */
export interface HistoryPage<M = any> {
    messages: Remembered<M>[];
    /** The place behind the last message; without one the place that was asked for, or the end of the history. */
    position: string;
    /** Whether nothing is missing behind the position that was asked for. */
    isComplete: boolean;
    /** Whether the history goes on behind `position`. */
    hasMore: boolean;
}

/** Options of an HTTP consumer. */
export interface HttpOptions<Readers> extends Guards, Access, OfGroups {
    /** Readers of path parameters. */
    params?: Readers;
    /** Runs when the client leaves before the response is complete. */
    disconnect?: (cx: Context) => Awaitable<void>;
}

/** The return value of an HTTP consumer. An object or an array is sent as JSON. */
export type Returned = string | Response | Hold | Streamed | object;

export type HttpHandler<P extends Record<string, any>> = (
    request: Request<P>,
    cx: Context,
) => Awaitable<Returned>;

/** How the messages of a WebSocket are read. */
export type Incoming = "text" | "binary" | "json" | ((frame: string | Uint8Array) => unknown);

/** A message, as the option `incoming` reads it. */
export type Received<I> = I extends "text"
    ? string
    : I extends "binary"
      ? Uint8Array
      : I extends "json"
        ? any
        : I extends (frame: string | Uint8Array) => infer Value
          ? Value
          : string | Uint8Array;

/** The answer to a handshake: how it is accepted, or `false` to deny it with status 403. */
export type Handshake =
    undefined | void | boolean | { subprotocol?: string; headers?: HeaderFields };

/** A consumer of WebSocket connections. Each method may run in a fresh instance. */
export interface WebsocketConsumer<Path extends string, Readers, State, I>
    extends Guards, Access, OfGroups {
    /** Readers of path parameters. */
    params?: Readers;
    /**
     * For how many milliseconds the host keeps a connection whose client was lost without a close frame: 1,000 to 600,000. A
     * client that asks for it, as the JavaScript client does with its option `resume`, and comes back in time goes on where
     * it was. The consumer sees nothing of a resume: state, groups and answers go on; `disconnect` comes when the time is
     * over, or when too much waits for the client. The connection of another client ends at once, as all do without it.
     */
    resume?: number;
    /** The state of a new connection, at most 16 KiB. It gives the type of `socket.state`. */
    state?: (params: Params<Path, Readers>) => State;
    /** The number of the shape of the state; 1 if not given. Count it up when an older state does not read any more. */
    schema?: number;
    /** Turns state with another number into this shape. Without it the connection closes with code 1012. */
    migrate?: (schema: number, old: any) => State;
    /** The groups of the connection from acceptance to end. Names are relative to the module. */
    groups?: (params: Params<Path, Readers>) => Iterable<string | import("./group.js").Group>;
    /** How messages are read; as they come if not given. One that does not read closes the connection with 4400. */
    incoming?: I;
    /** A client asks for a connection. Without it everybody is let in. */
    connect?: (socket: Socket<Params<Path, Readers>, State>) => Awaitable<Handshake>;
    /** A message from the client. */
    receive?: (
        socket: Socket<Params<Path, Readers>, State>,
        message: Received<I>,
    ) => Awaitable<void>;
    /** The connection is over. */
    disconnect?: (socket: Socket<Params<Path, Readers>, State>, close: Close) => Awaitable<void>;
}

/** Options of a consumer of a channel. */
export interface ChannelOptions extends Remembering {
    /** How often a message is run again after a fault, at most 100. Without it each message is run at most once. */
    retries?: number;
}

/** When a consumer of a channel is run by the clock. The host reads expression and zone at the upload. */
export interface Schedule {
    /**
     * Five fields: minute, hour, day of the month, month, day of the week; or six, with seconds before them; or
     * `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
     */
    expression: string;
    /** A name of the IANA database; UTC if not given. */
    zone?: string;
    /**
     * What becomes of moments at which no process was there for more than a minute. With `once`, the default, the last
     * one of them runs when a process is there again; with `skip` none does.
     */
    missed?: "once" | "skip";
    /**
     * Without it a run begins whether or not the one before is over. `skip`: a moment at which the run of the one before is
     * not over is left out. `queue`: it waits until that one is over.
     */
    overlap?: "skip" | "queue" | undefined;
}

/** Options of a consumer of a channel that is run by the clock. */
export interface ScheduledOptions extends ChannelOptions {
    /** At each moment the host sends the channel a Tick, once among all processes. */
    schedule: Schedule;
}

/** Options of a consumer of a channel that the results of requests go to. */
export interface FetchedOptions extends ChannelOptions {
    /** The consumer gets each message as a Fetched. One that is not the result of a request is a fault. */
    fetched: true;
}

/** Options of a consumer of a channel that is told who comes to groups and leaves them. */
export interface PresenceOptions extends ChannelOptions {
    /** The groups: names, or names and more. */
    presence: string | readonly string[] | Presence;
}

/**
 * The members that came to a group and left it, by their keys. A member is in one of the three. With many changes at once
 * there is more than one message of a version. `F` is the type of their facts.
 */
export interface PresenceChange<F = any> {
    /** The name of the group, the module's part included. */
    readonly group: string;
    /** The version that the message before led to. Where it is higher than that one's `version`, a message is missing. */
    readonly from: number;
    /** The version that this message leads to. Each is higher than the one before, also when the group was empty in between. */
    readonly version: number;
    /** All members of the group. */
    readonly count: number;
    /** Members that came, with their facts. */
    readonly joined: Readonly<Record<string, F>>;
    /** Members whose facts changed. */
    readonly updated: Readonly<Record<string, F>>;
    /** Members that left. */
    readonly left: readonly string[];
}

/** A member of a group. */
export interface Member<F = any> {
    key: string;
    /** The facts that it gave last. */
    facts: F;
}

/** A part of the members of a group. */
export interface Members<F = any> {
    /** Members, in the order of their keys. */
    members: Member<F>[];
    /** All members of the group. */
    count: number;
    /** Where the list goes on; `undefined` at its end. */
    cursor: string | undefined;
}

/**
 * The result of a request, which `cx.fetch` has sent to a channel: either `answer` is there or `failure`. `V` is the
 * type of its value.
 */
export type Fetched<V = any> = Omit<Result, "value" | "attempts" | "answer" | "failure"> & {
    /** The value that was given with the request; null without one. */
    readonly value: V;
    /** The number of times that the request was made, or was about to be made. */
    readonly attempts: number;
} & (
        | {
              /** The answer of the server, whatever its status. */
              readonly answer: Answer;
              readonly failure: undefined;
          }
        | {
              readonly answer: undefined;
              /** Why there is no answer. */
              readonly failure: FetchFailure;
          }
    );

/** A request to a server outside, and the channel of its result. */
export interface FetchOptions {
    /** A method of HTTP, such as `POST`; `GET` if not given. */
    method?: string;
    /** Header fields. The host sets `host`, the body's length and the fields of the connection. */
    headers?: HeaderFields;
    /** The body. */
    body?: Bytes;
    /** A body as JSON. Its type is set, unless `headers` have one. */
    json?: unknown;
    /**
     * The channel of the result: one that this module declares, or that it is granted. It needs `retries` of its own, if
     * no result may be lost.
     */
    then: string;
    /** Data that comes back with the result: what a message may hold. It is not sent to the server. */
    value?: unknown;
    /**
     * How often the request is made again, 10 times at most, where it is not answered, or with 429, 502, 503 or 504. The
     * pauses grow from a second to a minute. Without it the request is made once at most.
     */
    retries?: number;
    /**
     * The header field by which a server knows that a request repeats another. With `retries` a method that is not
     * idempotent, such as POST, needs it.
     */
    idempotencyKey?: string;
    /** Ends each attempt, in milliseconds. Without it, and at most, `fetch.timeout` of the module's settings. */
    timeout?: number;
}

/** A request to a server outside that the run waits for. */
export type FetchNowOptions = Pick<
    FetchOptions,
    "method" | "headers" | "body" | "json" | "idempotencyKey"
> & {
    /** Ends the wait for the header of the answer, in milliseconds. Without it the deadline of the run does. */
    timeout?: number;
};

export type ChannelHandler<M> = (message: M, cx: Context) => Awaitable<void>;

/** A consumer as `http`, `websocket` and `channel` make it. */
export interface Consumer {
    readonly trigger: Trigger;
    /** Of a consumer that is run by the clock. */
    readonly schedule?: WireSchedule | undefined;
    /** What it asks of the user, if anything. */
    readonly access?: WireAccess | undefined;
    /** Groups of which somebody is told who comes and goes. */
    readonly presence?: WirePresence | undefined;
    /** Groups that are remembered. */
    readonly history?: WireHistory | undefined;
    /** For how many milliseconds the host keeps a connection whose client was lost. */
    readonly resume?: number | undefined;
    /** Runs it. May return a promise. */
    readonly run: (run: Run, event: WireEvent) => unknown;
}

/** Consumers by name. A key that begins with `/` is a prefix of the paths below it. */
export interface Consumers {
    [name: string]: Consumer | Consumers | import("./access.js").Guarded;
}

/** How values of the store are read that other versions of the module wrote. */
export interface Shape<T> {
    /** The number of the shape that this version reads. Without it values are read whatever their number is. */
    schema?: number;
    /** Turns a value with a lower number into this shape. Without it such a value is a StoreError. */
    migrate?: (schema: number, old: any) => T;
}

/** A session in which a user is signed in. */
export interface SignedIn {
    /** Names the session for `end`. It may be in a page: it lets nobody in. */
    id: string;
    /** Whether it is the session of the connection. */
    isOwn: boolean;
    /** When the user signed in. */
    created: Date;
    /** When the session was last used, within a minute. */
    used: Date;
    /** When the session ends in any case. */
    expires: Date;
    /** The address that the user signed in from. */
    address: string;
    /** What the browser called itself, up to 256 bytes: it may say anything. */
    agent: string;
}

// The contract: wit/ has the meaning of each field.

export interface WireHeader {
    name: string;
    value: Uint8Array;
}

export interface WireScope {
    replyChannel: string;
    scheme: string;
    method: string;
    httpVersion: string;
    path: string;
    rawPath: string;
    queryString: string;
    pathParams: { name: string; value: string }[];
    headers: WireHeader[];
    client: { host: string; port: number };
    server: { host: string; port: number };
    rootPath: string;
    subprotocols: string[];
}

export type WireFrame = { tag: "text"; val: string } | { tag: "binary"; val: Uint8Array };

export interface Connected {
    replyChannel: string;
    path: string;
    pathParams: { name: string; value: string }[];
}

export type WireEvent =
    | { tag: "http-request"; val: { scope: WireScope; body: Uint8Array } }
    | { tag: "http-disconnect"; val: Connected }
    | { tag: "websocket-connect"; val: { scope: WireScope } }
    | { tag: "websocket-receive"; val: Connected & { order: number; frame: WireFrame } }
    | {
          tag: "websocket-disconnect";
          val: Connected & { order: number; code: number; reason: string };
      }
    | { tag: "channel-message"; val: { channel: string; content: Uint8Array } };

export interface WireGuards {
    host: string | undefined;
    headers: WireHeader[];
}

/** What a consumer asks of the user, checked. Claims without `user` ask for one. */
export interface WireAccess {
    user: "required" | "optional" | undefined;
    claims: Record<string, ClaimValue[]>;
}

/** The option `schedule`, checked, with what holds where nothing was given. */
export type WireSchedule = Required<Omit<Schedule, "overlap">> & Pick<Schedule, "overlap">;

/** The option `presence`, checked, with what holds where nothing was given. */
export type WirePresence = Required<Presence> & { groups: string[] };

/** The option `history`, checked, with what holds where nothing was given. Ages are in seconds. */
export type WireHistory = Record<string, Required<HistoryRule>>;

export interface WireUser {
    id: string;
    /** A MessagePack map. */
    claims: Uint8Array;
    /** Seconds since 1970. */
    expires: number | undefined;
}

export type Trigger =
    | {
          tag: "http";
          val: { methods: string[]; path: string; guards: WireGuards; disconnect: boolean };
      }
    | { tag: "websocket"; val: { path: string; guards: WireGuards } }
    | { tag: "channel"; val: { name: string; retries: number | undefined } };

export interface Invocation {
    module: string;
    consumer: string;
    correlationId: string;
}

export type Failure = { tag: "failed" | "state-unreadable"; val: string };

export interface WireResponse {
    status: number;
    headers: WireHeader[];
    body: Uint8Array;
}

export type StreamPart =
    | { tag: "start"; val: { status: number; headers: WireHeader[] } }
    | { tag: "chunk"; val: Uint8Array }
    | { tag: "end" };

/** The host behind a run. Refusals are thrown, as an error whose `payload` is the error of the contract. */
export interface Host {
    send(channel: string, content: Uint8Array): void;
    sendLater(channel: string, content: Uint8Array, delay: number): void;
    groupAdd(group: string, channel: string): void;
    groupDiscard(group: string, channel: string): void;
    groupSend(group: string, content: Uint8Array): void;
    flush(): void;
    respond(response: WireResponse): void;
    stream(part: StreamPart): void;
    hold(timeout: number, fallback: WireResponse | undefined): void;
    accept(handshake: { subprotocol: string | undefined; headers: WireHeader[] }): void;
    sendFrame(frame: WireFrame): void;
    close(code: number, reason: string): void;
    getScope(): WireScope | undefined;
    getState(): Uint8Array | undefined;
    setState(state: Uint8Array): void;
    log(level: Level, message: string): void;
    /** Milliseconds since 1970. */
    now(): number;
    variable(name: string): string | undefined;
    /** The data of the module. None where the build has not found its names in the code. */
    storing: StoringHost | undefined;
    /** Requests to servers outside. None where the build has not found the name in the code. */
    fetching: FetchingHost | undefined;
    /** Requests that a run waits for. None where the build has not found the name in the code. */
    outgoing: OutgoingHost | undefined;
    /** Which message a run is for. None where the build has not found its names in the code. */
    telling: TellingHost | undefined;
    /** Who somebody is. None where no consumer asks for it. */
    knowing: KnowingHost | undefined;
    /** The members of groups. None where the build has not found its names in the code. */
    meeting: MeetingHost | undefined;
    /** The connections of users. None where the build has not found the name in the code. */
    reaching: ReachingHost | undefined;
    /** Groups that are remembered. None where the build has not found its names in the code. */
    remembering: RememberingHost | undefined;
    /** Sessions of browsers. None where the build has not found their names in the code. */
    holding: HoldingHost | undefined;
}

export interface WireFetch {
    method: string;
    url: string;
    headers: [name: string, value: Uint8Array][];
    body: Uint8Array;
    then: string;
    /** MessagePack that comes back with the result. */
    value: Uint8Array;
    /** The time for each attempt, in milliseconds. */
    timeout: number | undefined;
    retries: number;
}

/** What the host knows of the message that a run is for. */
export interface TellingHost {
    messageId(): string | undefined;
    attempt(): number;
}

/** What the host knows of the user. */
export interface KnowingHost {
    currentUser(): WireUser | undefined;
}

/** What the host knows of the members of groups. Facts are MessagePack maps. */
export interface MeetingHost {
    present(group: string, channel: string, key: string, facts: Uint8Array): void;
    members(group: string, cursor: string | undefined, limit: number): Members<Uint8Array>;
    memberCount(group: string): number;
}

/** The host's connections of users. */
export interface ReachingHost {
    send(user: string, content: Uint8Array): void;
    close(user: string, code: number, reason: string): void;
    count(user: string): number;
}

/** A session that is open. Its key names what the module keeps for it; it expires in seconds since 1970. */
export interface WireSession {
    key: string;
    expires: number;
}

/** Moments are in seconds since 1970. */
export type WireSignedIn = Omit<SignedIn, "created" | "used" | "expires"> &
    Record<"created" | "used" | "expires", number>;

/** The host's sessions of browsers. Claims are a MessagePack map. */
export interface HoldingHost {
    current(): WireSession | undefined;
    begin(): WireSession;
    signIn(user: string, claims: Uint8Array): WireSession;
    signOut(): void;
    listOf(user: string): WireSignedIn[];
    end(user: string, id: string): void;
    endAll(user: string, butOwn: boolean): void;
}

export interface WirePage {
    messages: { position: string; content: Uint8Array }[];
    position: string;
    complete: boolean;
    more: boolean;
}

/** The host's groups that are remembered. */
export interface RememberingHost {
    read(group: string, after: string | undefined, limit: number): WirePage;
    join(group: string, after: string | undefined, latest: number): void;
}

/** A request that a run waits for. */
export type WireAsked = Omit<WireFetch, "then" | "value" | "retries">;

export type WireAnswer = { status: number; headers: WireHeader[]; body: Uint8Array };

/** Requests that a run waits for. Failures are thrown, as an error whose `payload` has a word and a text. */
export interface OutgoingHost {
    send(request: WireAsked): WireAnswer;
}

/** The host's requests to servers outside. */
export interface FetchingHost {
    fetch(request: WireFetch): void;
}

/** The bindings of the engine have integers of 64 bits as numbers, rounded beyond 2^53. */
export interface WireValue {
    data: { tag: "bytes"; val: Uint8Array } | { tag: "integer"; val: number };
    schema: number;
}

export type WireMoment = { tag: "after"; val: number } | { tag: "at"; val: number };

/** The store and the timers of the host. */
export interface StoringHost {
    getMany(keys: string[]): (WireValue | undefined)[];
    getManyOf(module: string, keys: string[]): (WireValue | undefined)[];
    set(key: string, value: WireValue, timeToLive: number | undefined): void;
    remove(key: string): void;
    add(key: string, delta: number): void;
    list(
        prefix: string,
        cursor: string | undefined,
        limit: number,
    ): { entries: { key: string; value: WireValue }[]; cursor: string | undefined };
    setTimer(
        key: string | undefined,
        channel: string,
        content: Uint8Array,
        due: WireMoment,
    ): void;
    cancelTimer(key: string): void;
}

/** One run of a consumer. */
export interface Run {
    host: Host;
    invocation: Invocation;
    /** What `app` has put before the consumer's path. */
    prefix: string;
}
