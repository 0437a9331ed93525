/** What the types refuse. The type check fails where one of these lines is no error. */

import type { Answer, Fetched, HistoryPage, Member, PresenceChange } from "@tidegate/sdk";
import { Frame, Response, Tick, app, channel, guarded, http, integer, websocket } from "@tidegate/sdk";

interface Picture {
    id: number;
    next: string;
}

app({
    me: http("GET /me", { user: "required", claims: { role: ["admin"], level: 2 } }, (_, cx) => {
        // @ts-expect-error: the types do not say that there is a user
        const id: string = cx.user.id;
        // @ts-expect-error: it may be that of nobody, or have no end
        const end: Date = cx.user?.expires;
        return `${id} ${end}`;
    }),
    // @ts-expect-error: the option has two values
    anybody: http("GET /anybody", { user: "anybody" }, () => ""),
    "/staff": guarded({ claims: { staff: true } }, { desk: http("GET /desk", () => "") }),
    hello: http("GET /hello/{name}", ({ params }) => {
        const name: string = params.name;
        // @ts-expect-error: the path has no {nmae}
        return `${name} ${params.nmae}`;
    }),
    shelf: http("GET /shelf/{number}/{*rest}", { params: { number: integer } }, ({ params }) => {
        const number: number = params.number;
        const rest: string = params.rest;
        // @ts-expect-error: it is a number
        const text: string = params.number;
        return `${number} ${rest} ${text}`;
    }),
    kept: http("GET /kept/{key}", ({ params }, cx) => {
        const picture = cx.store.get<Picture>(params.key);
        // @ts-expect-error: it may not be there
        const id: number = picture.id;
        const migrated = cx.store.get(params.key, {
            schema: 2,
            migrate: (_, old): Picture => ({ id: old.id, next: "" }),
        });
        // @ts-expect-error: a picture has no title
        const title: string = migrated?.title ?? "";
        for (const [key, score] of cx.store.list<number>("score:")) cx.info(key + score.toFixed(1));
        // @ts-expect-error: the option is `timeToLive`
        cx.store.set("a", 1, { ttl: 5 });
        // @ts-expect-error: text is no moment
        cx.sendAt("pictures", {}, "tomorrow");
        return `${id} ${title}`;
    }),
    // @ts-expect-error: the option is `disconnect`
    left: http("GET /left", { disconect: () => {} }, () => ""),
    // @ts-expect-error: a number is no answer
    number: http("GET /number", () => 7),
    // @ts-expect-error: a route has a method
    route: http("/route", () => ""),
    picture: channel("pictures", (picture: Picture, cx) => {
        // @ts-expect-error: a picture has no title
        cx.send(picture.next, { id: picture.id, title: picture.title });
        // @ts-expect-error: text is no message
        cx.groupSend("pictures", "text");
        cx.groupSend("pictures", Frame.text("text"));
    }),
    report: channel("reports", { schedule: { expression: "@daily", missed: "skip" } }, (tick, cx) => {
        const due: Date = tick.due;
        // @ts-expect-error: a Tick has no moment
        cx.info(`${due} ${tick.moment}`);
    }),
    mixed: channel("mixed", { schedule: { expression: "@daily" } }, (it: Tick | Picture, cx) =>
        cx.info(it instanceof Tick ? `${it.due}` : it.next),
    ),
    charge: http("POST /charges", (_, cx) => {
        cx.fetch("https://pay.example.com/", { method: "POST", json: {}, then: "charged", retries: 5 });
        // @ts-expect-error: the result goes to a channel
        cx.fetch("https://pay.example.com/", { method: "GET" });
        // @ts-expect-error: the option is `retries`
        cx.fetch("https://pay.example.com/", { then: "charged", retry: 5 });
        return "";
    }),
    charged: channel("charged", { fetched: true, retries: 5 }, (fetched: Fetched<Picture>, cx) => {
        const { value, answer, failure } = fetched;
        // @ts-expect-error: there may be no answer
        const early: number = answer.status;
        if (failure) return cx.warn(`${value.id} ${failure.reason} ${early}`);
        const status: number = answer.status;
        // @ts-expect-error: a picture has no title
        cx.info(`${status} ${answer.header("age")} ${value.title}`);
    }),
    plain: channel("plain", { fetched: true }, (fetched, cx) => {
        const answer: Answer | undefined = fetched.answer;
        // @ts-expect-error: a result has no body of its own
        cx.info(`${answer?.text()} ${fetched.value} ${fetched.body}`);
    }),
    // @ts-expect-error: the message is a Fetched
    result: channel("results", { fetched: true }, (result: Picture) => {}),
    // @ts-expect-error: a consumer has a schedule or takes results
    both: channel("both", { fetched: true, schedule: { expression: "@daily" } }, () => {}),
    // @ts-expect-error: the message of a schedule is a Tick
    night: channel("nights", { schedule: { expression: "@daily" } }, (night: Picture) => {}),
    // @ts-expect-error: a schedule has an expression
    never: channel("never", { schedule: { zone: "UTC" } }, () => {}),
    // @ts-expect-error: `missed` is "once" or "skip"
    twice: channel("twice", { schedule: { expression: "@daily", missed: "twice" } }, () => {}),
    // @ts-expect-error: a request has no schedule
    asked: http("GET /asked", { schedule: { expression: "@daily" } }, () => ""),
    changes: channel("changes", { presence: "room.*", retries: 2 }, (change: PresenceChange<Picture>, cx) => {
        for (const [key, { id }] of Object.entries(change.joined)) cx.info(`${key} ${id.toFixed()}`);
        // @ts-expect-error: who left has no facts
        const left: Record<string, Picture> = change.left;
        // @ts-expect-error: a picture has no title
        cx.info(`${left} ${change.updated.ada?.title}`);
    }),
    // @ts-expect-error: a channel gets changes, or ticks
    nightly: channel("nightly", { presence: "*", schedule: { expression: "@daily" } }, () => {}),
    // @ts-expect-error: the option is `leaveAfter`
    leaves: http("GET /leaves", { presence: { groups: "*", leave_after: 5 } }, () => ""),
    // @ts-expect-error: times are numbers
    slow: http("GET /slow", { presence: { groups: "*", interval: "1s" } }, () => ""),
    board: websocket("/board/{name}", {
        presence: { groups: ["room.*"], leaveAfter: 5000, interval: 100, list: 3 },
        connect(socket) {
            socket.present("room.a", socket.params.name, { id: 1 });
            // @ts-expect-error: facts are an object
            socket.presentUser("room.a", "blue");
            // @ts-expect-error: a member has a key
            socket.present("room.a");
        },
        receive(socket) {
            const { members, count, cursor } = socket.members<Picture>("room.a", { limit: 10 });
            const [first] = members;
            const member: Member<Picture> | undefined = first;
            socket.members("room.a", { cursor });
            // @ts-expect-error: the option is `cursor`
            socket.members("room.a", { after: "ada" });
            // @ts-expect-error: a member has facts
            socket.send(`${member?.id} ${count} ${socket.memberCount("room.a")}`);
        },
    }),
    tell: http("POST /tell/{whom}", ({ params }, cx) => {
        const theirs = cx.connectionsOf(params.whom);
        theirs.send(Frame.text("a parcel has come"));
        theirs.close(4000, "signed out");
        // @ts-expect-error: a number is no message
        theirs.send(7);
        // @ts-expect-error: a code is a number
        theirs.close("4000");
        // @ts-expect-error: the id of a user is text
        cx.connectionsOf(cx.user);
        const count: number = theirs.count();
        return `${count}`;
    }),
    login: http("POST /login/{name}", { user: "optional" }, ({ params }, cx) => {
        cx.sessions().signIn(params.name, { role: "member" });
        const used: Date | undefined = cx.sessions().of(params.name)[0]?.used;
        const basket: Picture[] = cx.session<Picture[]>().update((before = []) => [...before, { id: 1, next: "" }]);
        // @ts-expect-error: there may be no data
        const first: Picture[] = cx.session<Picture[]>().get();
        const shaped = cx.session({ schema: 2, migrate: (_, old): Picture => old }).get();
        // @ts-expect-error: claims are an object
        cx.sessions().signIn(params.name, "member");
        // @ts-expect-error: a throttle has a window
        const wait: number = cx.throttle("login", { limit: 10 }).count(params.name);
        // @ts-expect-error: a picture has no title
        return `${used} ${basket.length} ${first.length} ${wait} ${shaped?.title}`;
    }),
    resumed: websocket("/resumed", { resume: 120_000 }),
    // @ts-expect-error: a time is a number
    spelled: websocket("/spelled", { resume: "2m" }),
    // @ts-expect-error: an HTTP consumer has no connection to resume
    answered: http("GET /answered", { resume: 120_000 }, () => ""),
    lasting: channel("lasting", { schedule: { expression: "@daily", overlap: "queue" } }, (tick, cx) =>
        cx.info(`${tick.due}`),
    ),
    // @ts-expect-error: it is skip or queue
    waits: channel("waits", { schedule: { expression: "@daily", overlap: "wait" } }, () => {}),
    rooms: websocket("/kept/{room}", {
        history: { "room.*": { messages: 100, age: 60_000, bytes: 1024 }, lobby: {} },
        connect(socket) {
            const after: string | undefined = socket.lastPosition("room.a");
            socket.groupJoin("room.a", { after, latest: 100 });
            // @ts-expect-error: the option is `latest`
            socket.groupJoin("room.a", { orLatest: 100 });
        },
        receive(socket) {
            const page: HistoryPage<Picture> = socket.history("room.a").latest(10);
            const [first] = socket.history("room.a").after<Picture>(page.position).messages;
            // @ts-expect-error: a picture has no title
            socket.send(`${first?.message.title} ${first?.position.length} ${page.isComplete && page.hasMore}`);
            // @ts-expect-error: a position is text
            socket.history("room.a").after(7);
        },
    }),
    // @ts-expect-error: an age is a number
    aged: http("GET /aged", { history: { "room.*": { age: "24h" } } }, () => ""),
    // @ts-expect-error: the key is `messages`
    lines: channel("lines", { history: { "room.*": { message: 1 } } }, () => {}),
    nights: channel("nights.kept", { history: ["a", "b"], schedule: { expression: "@daily" } }, (tick, cx) =>
        cx.info(`${tick.due}`),
    ),
    socket: websocket("/socket/{room}", {
        state: () => ({ lines: 0 }),
        incoming: "text",
        groups: ({ room }) => [room],
        receive(socket, line) {
            const lines: number = socket.state.lines + line.length;
            socket.setState({ lines });
            // @ts-expect-error: the state has no lnies
            socket.setState({ lnies: lines });
            socket.send(`${socket.params.room}: ${lines}`);
            // @ts-expect-error: a number is no frame
            socket.send(7);
        },
    }),
});

// @ts-expect-error: the field is `headers`
new Response("", { header: {} });
