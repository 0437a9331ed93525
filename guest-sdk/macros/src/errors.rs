//! Collects errors, so that a build shows all of them.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};

/// The errors of one macro call.
#[derive(Default)]
pub(crate) struct Errors(Vec<syn::Error>);

impl Errors {
    /// An error at the tokens of `at`.
    pub(crate) fn at(&mut self, at: impl ToTokens, message: impl std::fmt::Display) {
        self.0.push(syn::Error::new_spanned(at, message));
    }

    /// An error at a place.
    pub(crate) fn push(&mut self, span: Span, message: impl std::fmt::Display) {
        self.0.push(syn::Error::new(span, message));
    }

    /// Keeps the error, if it is one.
    pub(crate) fn take<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The user's item, and a `compile_error!` for each error.
    pub(crate) fn finish(self, item: &TokenStream) -> TokenStream {
        let errors = self.0.iter().map(syn::Error::to_compile_error);
        quote!(#item #(#errors)*)
    }
}

/// The item, and the error of an attribute that stands above it and not in `export!`. `message` gets the name of the item, or
/// a usual one where the item has none.
pub(crate) fn misplaced(
    attribute: &TokenStream,
    item: &TokenStream,
    usual: &str,
    message: impl FnOnce(&str) -> String,
) -> TokenStream {
    let function = syn::parse2::<syn::ItemFn>(item.clone()).ok();
    let name = function.map(|function| function.sig.ident.to_string());
    let mut errors = Errors::default();
    let at = if attribute.is_empty() { item } else { attribute };
    errors.at(at, message(name.as_deref().unwrap_or(usual)));
    errors.finish(item)
}

/// The consumer's entry for `export!`, with nothing behind it: an error has been reported, and
/// another one at `export!` would only distract.
pub(crate) fn broken_entry(consumer: &TokenStream) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl ::tidegate_sdk::__private::Consumer for #consumer {
            const ENTRY: ::tidegate_sdk::__private::Entry = ::tidegate_sdk::__private::Entry {
                name: ::core::stringify!(#consumer),
                prefix: "",
                schedule: ::core::option::Option::None,
                presence: ::core::option::Option::None,
                histories: &[],
                resume: ::core::option::Option::None,
                access: ::core::option::Option::None,
                trigger: ::tidegate_sdk::__private::Trigger::Channel {
                    name: ::core::stringify!(#consumer),
                    retries: ::core::option::Option::None,
                },
                run: |_, _| ::core::result::Result::Ok(()),
            };
        }
    }
}
