// The imports of a component, for the type check of the SDK.

declare module "tidegate:channels/connection@0.1.0" {
    export const getScope: import("../types.js").Host["getScope"];
    export const getState: import("../types.js").Host["getState"];
    export const setState: import("../types.js").Host["setState"];
}

declare module "tidegate:channels/layer@0.1.0" {
    export const flush: import("../types.js").Host["flush"];
    export const groupAdd: import("../types.js").Host["groupAdd"];
    export const groupDiscard: import("../types.js").Host["groupDiscard"];
    export const groupSend: import("../types.js").Host["groupSend"];
    export const send: import("../types.js").Host["send"];
    export const sendLater: import("../types.js").Host["sendLater"];
}

declare module "tidegate:channels/log@0.1.0" {
    export const log: import("../types.js").Host["log"];
}

declare module "tidegate:channels/reply@0.1.0" {
    export const accept: import("../types.js").Host["accept"];
    export const close: import("../types.js").Host["close"];
    export const hold: import("../types.js").Host["hold"];
    export const respond: import("../types.js").Host["respond"];
    export const send: import("../types.js").Host["sendFrame"];
    export const stream: import("../types.js").Host["stream"];
}

declare module "tidegate:channels/outside@0.1.1" {
    export const fetch: import("../types.js").FetchingHost["fetch"];
}

declare module "tidegate:channels/store@0.1.1" {
    type Storing = import("../types.js").StoringHost;
    export const add: Storing["add"];
    const remove: Storing["remove"];
    export { remove as delete };
    type Values = (import("../types.js").WireValue | null)[];
    type Page = ReturnType<Storing["list"]>;
    export const getMany: (...of: Parameters<Storing["getMany"]>) => Values;
    export const getManyOf: (...of: Parameters<Storing["getManyOf"]>) => Values;
    export const list: (
        ...of: Parameters<Storing["list"]>
    ) => Omit<Page, "cursor"> & { cursor: string | null };
    export const set: Storing["set"];
}

declare module "tidegate:channels/timers@0.1.1" {
    export const cancel: import("../types.js").StoringHost["cancelTimer"];
    export const set: import("../types.js").StoringHost["setTimer"];
}

declare module "tidegate:channels/invocation@0.1.1" {
    export const attempt: import("../types.js").TellingHost["attempt"];
    export const messageId: () => string | null;
}

declare module "tidegate:channels/presence@0.1.1" {
    type Meeting = import("../types.js").MeetingHost;
    type Members = ReturnType<Meeting["members"]>;
    export const present: Meeting["present"];
    export const members: (
        ...of: Parameters<Meeting["members"]>
    ) => Omit<Members, "cursor"> & { cursor: string | null };
    export const memberCount: Meeting["memberCount"];
}

declare module "tidegate:channels/online@0.1.1" {
    type Reaching = import("../types.js").ReachingHost;
    export const userSend: Reaching["send"];
    export const userClose: Reaching["close"];
    export const userConnections: Reaching["count"];
}

declare module "tidegate:channels/history@0.1.1" {
    export const read: import("../types.js").RememberingHost["read"];
    export const join: import("../types.js").RememberingHost["join"];
}

declare module "tidegate:channels/sessions@0.1.1" {
    type Holding = import("../types.js").HoldingHost;
    export const current: () => import("../types.js").WireSession | null;
    export const begin: Holding["begin"];
    export const signIn: Holding["signIn"];
    export const signOut: Holding["signOut"];
    export const listOf: Holding["listOf"];
    export const end: Holding["end"];
    export const endAll: Holding["endAll"];
}

declare module "tidegate:channels/users@0.1.1" {
    type User = import("../types.js").WireUser;
    export const current: () => (Omit<User, "expires"> & { expires: number | null }) | null;
}

// The resources of `wasi:http`; `component/outgoing.js` alone knows them.
declare module "wasx:http/outgoing-handler@0.2.4" {
    export const handle: (request: any, options: any) => any;
}

declare module "wasx:http/types@0.2.4" {
    export const Fields: new () => any;
    export const OutgoingBody: { finish(body: any, trailers: null): void };
    export const OutgoingRequest: new (headers: any) => any;
    export const RequestOptions: new () => any;
}

declare module "wasi:cli/environment@0.2.0" {
    export function getEnvironment(): [string, string][];
}

declare module "wasi:random/random@0.2.0" {
    export function getRandomBytes(count: number): Uint8Array<ArrayBuffer>;
}

// Packages without types.

declare module "object-inspect" {
    export default function inspect(
        value: unknown,
        options?: { depth?: number; maxStringLength?: number },
    ): string;
}

declare module "promise-polyfill" {
    const Settling: PromiseConstructor;
    export default Settling;
}
