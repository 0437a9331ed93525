//! Macros of `tidegate-sdk`, documented where that crate re-exports them, so that the
//! examples in the documentation are compiled against the real crate.
//!
//! An attribute checks the item below it and adds a shim of a few lines. The item itself is always
//! emitted, errors or not, so that one mistake gives one message.

use proc_macro::TokenStream;

mod access;
mod channel;
mod errors;
mod export;
mod function;
mod group_pattern;
mod guards;
mod history;
mod http;
mod path;
mod presence;
mod resume;
mod schedule;
mod span;
mod websocket;

#[expect(missing_docs, reason = "documented at the re-export in tidegate-sdk")]
#[proc_macro_attribute]
pub fn http(attribute: TokenStream, item: TokenStream) -> TokenStream {
    http::expand(&attribute.into(), &item.into()).into()
}

#[expect(missing_docs, reason = "documented at the re-export in tidegate-sdk")]
#[proc_macro_attribute]
pub fn websocket(attribute: TokenStream, item: TokenStream) -> TokenStream {
    websocket::expand(&attribute.into(), &item.into()).into()
}

#[expect(missing_docs, reason = "documented at the re-export in tidegate-sdk")]
#[proc_macro_attribute]
pub fn channel(attribute: TokenStream, item: TokenStream) -> TokenStream {
    channel::expand(&attribute.into(), &item.into()).into()
}

#[expect(missing_docs, reason = "documented at the re-export in tidegate-sdk")]
#[proc_macro_attribute]
pub fn schedule(attribute: TokenStream, item: TokenStream) -> TokenStream {
    schedule::misplaced(&attribute.into(), &item.into()).into()
}

#[expect(missing_docs, reason = "documented at the re-export in tidegate-sdk")]
#[proc_macro_attribute]
pub fn history(attribute: TokenStream, item: TokenStream) -> TokenStream {
    history::misplaced(&attribute.into(), &item.into()).into()
}

#[expect(missing_docs, reason = "documented at the re-export in tidegate-sdk")]
#[proc_macro_attribute]
pub fn presence(attribute: TokenStream, item: TokenStream) -> TokenStream {
    presence::misplaced(&attribute.into(), &item.into()).into()
}

#[expect(missing_docs, reason = "documented at the re-export in tidegate-sdk")]
#[proc_macro_attribute]
pub fn resume(attribute: TokenStream, item: TokenStream) -> TokenStream {
    resume::misplaced(&attribute.into(), &item.into()).into()
}

#[expect(missing_docs, reason = "documented at the re-export in tidegate-sdk")]
#[proc_macro_attribute]
pub fn user(attribute: TokenStream, item: TokenStream) -> TokenStream {
    access::misplaced("user", &attribute.into(), &item.into()).into()
}

#[expect(missing_docs, reason = "documented at the re-export in tidegate-sdk")]
#[proc_macro_attribute]
pub fn claims(attribute: TokenStream, item: TokenStream) -> TokenStream {
    access::misplaced("claims(role = \"admin\")", &attribute.into(), &item.into()).into()
}

#[expect(missing_docs, reason = "documented at the re-export in tidegate-sdk")]
#[proc_macro]
pub fn export(input: TokenStream) -> TokenStream {
    export::expand(&input.into()).into()
}
