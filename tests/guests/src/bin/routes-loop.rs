//! Loops while it is asked for its routes.

#[cfg(target_family = "wasm")]
mod module {
    use tidegate_sdk::__private::bindings::{
        self,
        exports::tidegate::channels::consumer::{Event, Failure, Guest, Invocation, Route},
    };

    struct Module;

    impl Guest for Module {
        fn routes() -> Vec<Route> {
            #[expect(clippy::empty_loop, reason = "it misbehaves")]
            loop {}
        }

        fn handle(_: Invocation, _: Event) -> Result<(), Failure> {
            Ok(())
        }
    }

    bindings::export_module!(Module with_types_in bindings);
}

fn main() {}
