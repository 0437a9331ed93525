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
