//! The list of a module's consumers.

#[doc = include_str!("docs/export.md")]
#[macro_export]
macro_rules! export {
    () => {
        ::core::compile_error!(
            "export! needs at least one consumer: export! { hello }"
        );
    };
    ($($($consumer:ident)::+),+ $(,)?) => {
        /// The consumers of this module, for `tidegate_sdk::testing::TestHost`.
        #[must_use]
        pub fn consumers() -> $crate::Consumers {
            const ENTRIES: &[$crate::__private::Entry] =
                &[$(<$($consumer)::+ as $crate::__private::Consumer>::ENTRY),+];
            const _: () = $crate::__private::check(ENTRIES);
            $crate::Consumers::new(ENTRIES)
        }

        $crate::__export_component!();
    };
    ($($other:tt)*) => {
        ::core::compile_error!(
            "export! takes the names of consumers, with commas between: export! { hello, Chat }"
        );
    };
}

#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_component {
    () => {};
}

#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_component {
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
