//! `#[resume("2m")]` before a consumer of WebSockets in `export!`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, LitStr, Meta};

use crate::errors::{self, Errors};
use crate::span;

/// For how many milliseconds its connections are kept whose clients were lost. The host checks what it may be.
pub(crate) struct Resume(u64);

/// Without a time.
const DEFAULT: u64 = 120_000;
/// How it is written.
const FORM: &str = "write #[resume] or #[resume(\"2m\")]";

impl Resume {
    pub(crate) fn read(attribute: &Attribute, errors: &mut Errors) -> Option<Self> {
        let window = match &attribute.meta {
            Meta::Path(_) => Ok(DEFAULT),
            _ => attribute.parse_args::<LitStr>().and_then(|literal| span::milliseconds(&literal)),
        };
        let wrong = |error: &syn::Error| errors.push(error.span(), format!("{error}; {FORM}"));
        window.inspect_err(wrong).ok().map(Self)
    }
}

/// An item with the attribute above it.
pub(crate) fn misplaced(attribute: &TokenStream, item: &TokenStream) -> TokenStream {
    errors::misplaced(attribute, item, "Room", |name| {
        format!(
            "it stands in export!, before the name of a consumer: export! {{ #[resume(\"2m\")] {name} }}"
        )
    })
}

impl ToTokens for Resume {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self(window) = self;
        tokens.extend(quote!(#window));
    }
}
