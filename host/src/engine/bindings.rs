//! The contract in wit/, as Rust types.

#![expect(clippy::str_to_string, clippy::needless_pass_by_value, reason = "generated")]

wasmtime::component::bindgen!({
    path: "wit",
    world: "module",
    imports: {
        "tidegate:channels/layer.flush": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
