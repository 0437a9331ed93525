//! The contract in `wit/`, as `wit-bindgen` writes it. Only for WebAssembly.
#![allow(
    unsafe_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    elided_lifetimes_in_paths,
    unused_qualifications,
    clippy::all,
    clippy::mem_forget,
    reason = "generated"
)]

wit_bindgen::generate!({
    path: "wit",
    world: "module",
    pub_export_macro: true,
    export_macro_name: "export_module",
    default_bindings_module: "tidegate_sdk::__private::bindings",
    additional_derives: [PartialEq, Eq],
});

/// What a module declares of its consumers besides their routes, which version 0.1.1 adds. Only a module that
/// declares something exports it.
pub mod declaring {
    wit_bindgen::generate!({
        path: "wit/0.1.1",
        world: "declaring",
        pub_export_macro: true,
        export_macro_name: "export_declarations",
        default_bindings_module: "tidegate_sdk::__private::bindings::declaring",
    });
}

/// Facts of a run, which version 0.1.1 adds. A module that does not ask does not import it.
pub mod telling {
    wit_bindgen::generate!({ path: "wit/0.1.1", world: "knowing-messages" });
}

/// The user of a connection, which version 0.1.1 adds. A module that does not ask does not import it.
pub mod knowing {
    wit_bindgen::generate!({
        path: "wit/0.1.1",
        world: "knowing-users",
        additional_derives: [PartialEq, Eq],
    });
}

/// Signing in and out of a browser, which version 0.1.1 adds. A module that does neither does not import it.
pub mod holding {
    wit_bindgen::generate!({
        path: "wit/0.1.1",
        world: "holding-sessions",
        additional_derives: [PartialEq, Eq],
    });
}

/// The members of groups, which version 0.1.1 adds. A module that does not ask does not import it.
pub mod meeting {
    wit_bindgen::generate!({
        path: "wit/0.1.1",
        world: "meeting",
        additional_derives: [PartialEq, Eq],
    });
}

/// Groups that are remembered, which version 0.1.1 adds. A module that has none does not import it.
pub mod remembering {
    wit_bindgen::generate!({
        path: "wit/0.1.1",
        world: "remembering",
        additional_derives: [PartialEq, Eq],
    });
}

/// The data of modules, which version 0.1.1 adds. A module that does not use it does not import it.
pub mod storing {
    wit_bindgen::generate!({
        path: "wit/0.1.1",
        world: "storing",
        additional_derives: [PartialEq, Eq],
    });
}

/// Requests to servers elsewhere, which version 0.1.1 adds. A module that makes none does not import it.
pub mod fetching {
    wit_bindgen::generate!({
        path: "wit/0.1.1",
        world: "fetching",
        additional_derives: [PartialEq, Eq],
    });
}

/// The connections of users, which version 0.1.1 adds. A module that reaches no user does not import it.
pub mod reaching {
    wit_bindgen::generate!({
        path: "wit/0.1.1",
        world: "reaching-users",
        additional_derives: [PartialEq, Eq],
    });
}
