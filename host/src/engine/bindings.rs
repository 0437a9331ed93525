//! The contract in wit/, as Rust types.

wasmtime::component::bindgen!({
    path: "wit",
    world: "module",
    imports: {
        "tidegate:channels/layer.flush": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});

/// The interfaces that version 0.1.1 adds.
pub(super) mod additions {
    wasmtime::component::bindgen!({
        path: "wit/0.1.1",
        world: "declaring",
        exports: { default: async },
    });
}

/// The data of modules, which version 0.1.1 adds.
pub(super) mod storing {
    wasmtime::component::bindgen!({
        path: "wit/0.1.1",
        world: "storing",
        imports: {
            "tidegate:channels/store.get": async | trappable,
            "tidegate:channels/store.get-many": async | trappable,
            "tidegate:channels/store.get-many-of": async | trappable,
            "tidegate:channels/store.list": async | trappable,
            default: trappable,
        },
    });
}

/// Requests to servers elsewhere, which version 0.1.1 adds.
pub(super) mod fetching {
    wasmtime::component::bindgen!({
        path: "wit/0.1.1",
        world: "fetching",
        imports: { default: trappable },
    });
}

/// Facts of a run, which version 0.1.1 adds.
pub(super) mod telling {
    wasmtime::component::bindgen!({
        path: "wit/0.1.1",
        world: "knowing-messages",
        imports: { default: trappable },
    });
}

/// The members of groups, which version 0.1.1 adds.
pub(super) mod meeting {
    wasmtime::component::bindgen!({
        path: "wit/0.1.1",
        world: "meeting",
        imports: {
            "tidegate:channels/presence.members": async | trappable,
            "tidegate:channels/presence.member-count": async | trappable,
            default: trappable,
        },
    });
}

/// The user of a connection, which version 0.1.1 adds.
pub(super) mod knowing {
    wasmtime::component::bindgen!({
        path: "wit/0.1.1",
        world: "knowing-users",
        imports: { default: trappable },
    });
}

/// The connections of users, which version 0.1.1 adds.
pub(super) mod reaching {
    wasmtime::component::bindgen!({
        path: "wit/0.1.1",
        world: "reaching-users",
        imports: {
            "tidegate:channels/online.user-connections": async | trappable,
            default: trappable,
        },
    });
}

/// Groups that are remembered, which version 0.1.1 adds.
pub(super) mod remembering {
    wasmtime::component::bindgen!({
        path: "wit/0.1.1",
        world: "remembering",
        imports: {
            "tidegate:channels/history.read": async | trappable,
            default: trappable,
        },
    });
}

/// Signing in and out of a browser, which version 0.1.1 adds.
pub(super) mod holding {
    wasmtime::component::bindgen!({
        path: "wit/0.1.1",
        world: "holding-sessions",
        imports: {
            "tidegate:channels/sessions.list-of": async | trappable,
            default: trappable,
        },
    });
}
