//! What `export!` adds for the host: in WebAssembly the component's export.

#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_component {
    ($($what:ident)?) => {};
}

#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_component {
    (declarations) => {
        $crate::__export_component!();

        const _: () = {
            use $crate::__private::bindings::declaring::exports::tidegate::channels::declarations;

            struct Module;

            impl declarations::Guest for Module {
                fn declare() -> ::std::vec::Vec<u8> {
                    $crate::__private::declare(consumers())
                }
            }

            $crate::__private::bindings::declaring::export_declarations!(
                Module with_types_in $crate::__private::bindings::declaring
            );
        };
    };
    () => {
        const _: () = {
            use bindings::exports::tidegate::channels::consumer;
            use bindings::tidegate::channels::types;
            use $crate::__private::bindings;

            struct Module;

            impl consumer::Guest for Module {
                fn routes() -> ::std::vec::Vec<consumer::Route> {
                    $crate::__private::routes(consumers())
                }

                fn handle(
                    invocation: types::Invocation,
                    event: types::Event,
                ) -> ::core::result::Result<(), consumer::Failure> {
                    $crate::__private::handle(consumers(), invocation, event)
                }
            }

            $crate::__private::bindings::export_module!(
                Module with_types_in $crate::__private::bindings
            );
        };
    };
}
