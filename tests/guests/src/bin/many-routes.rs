//! Declares a million routes.

#[cfg(target_family = "wasm")]
mod module {
    use tidegate_sdk::__private::bindings::{
        self,
        exports::tidegate::channels::consumer::{
            ChannelTrigger, Event, Failure, Guest, Invocation, Route, Trigger,
        },
    };

    struct Module;

    impl Guest for Module {
        fn routes() -> Vec<Route> {
            let route = |number: u32| Route {
                consumer: format!("c{number}"),
                trigger: Trigger::Channel(ChannelTrigger {
                    name: format!("c{number}"),
                    retries: None,
                }),
            };
            (0..1_000_000).map(route).collect()
        }

        fn handle(_: Invocation, _: Event) -> Result<(), Failure> {
            Ok(())
        }
    }

    bindings::export_module!(Module with_types_in bindings);
}

fn main() {}
