//! `#[websocket("/chat/{room}")]` on `impl Websocket for Chat`, or on `impl Demultiplexer`, which is
//! one, too.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{ItemImpl, LitStr, Type};

use crate::errors::{Errors, broken_entry};
use crate::path;

pub(crate) fn expand(attribute: &TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let literal = match syn::parse2::<LitStr>(attribute.clone()) {
        Ok(literal) => Some(literal),
        Err(_) if attribute.is_empty() => {
            errors.push(
                proc_macro2::Span::call_site(),
                "say the path that clients connect to: #[websocket(\"/chat/{room}\")]",
            );
            None
        }
        Err(_) => {
            errors.at(attribute, "write the path as text: #[websocket(\"/chat/{room}\")]");
            None
        }
    };
    let Ok(block) = syn::parse2::<ItemImpl>(item.clone()) else {
        errors.at(item, "#[websocket] goes on an impl: impl Websocket for Chat { .. }");
        return errors.finish(item);
    };
    let Some(name) = check(&block, &mut errors) else {
        return errors.finish(item);
    };
    let entry = literal.map(|literal| entry(&block, &name, &literal, &mut errors));
    match entry {
        Some(entry) if errors.is_empty() => quote!(#item #entry),
        _ => {
            let broken = broken_entry(&block.self_ty.to_token_stream());
            errors.finish(&quote!(#item #broken))
        }
    }
}

/// The type's name.
fn check(block: &ItemImpl, errors: &mut Errors) -> Option<String> {
    let implements = block.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
    let is_consumer = |ident: &syn::Ident| ident == "Websocket" || ident == "Demultiplexer";
    if implements.is_none_or(|segment| !is_consumer(&segment.ident)) {
        errors.at(
            &block.self_ty,
            "#[websocket] goes on the impl of the trait `Websocket`: impl Websocket for Chat { .. }",
        );
        return None;
    }
    if !block.generics.params.is_empty() {
        errors.at(&block.generics, "a consumer has no generic parameters: name the types");
        return None;
    }
    match &*block.self_ty {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        other => {
            errors.at(other, "implement `Websocket` for a struct");
            None
        }
    }
}

fn entry(block: &ItemImpl, name: &str, literal: &LitStr, errors: &mut Errors) -> TokenStream {
    let text = literal.value();
    if let Some((before, path)) = text.split_once(' ') {
        let message = format!("a WebSocket has no method: remove `{before}`, write \"{path}\"");
        errors.push(literal.span(), message);
        return TokenStream::new();
    }
    let names = path::params(&text, literal, errors);
    let keys = names.iter().map(ToString::to_string);
    let ty = &block.self_ty;
    // At the literal, so that a field that is missing in the struct is reported there.
    let value = quote_spanned! {literal.span()=>
        #ty { #(#names: __params.get(#keys)?),* }
    };
    quote! {
        #[automatically_derived]
        impl ::tidegate_sdk::__private::Consumer for #ty {
            const ENTRY: ::tidegate_sdk::__private::Entry = ::tidegate_sdk::__private::Entry {
                name: #name,
                trigger: ::tidegate_sdk::__private::Trigger::Websocket { path: #text },
                run: |__cx, __event| ::tidegate_sdk::__private::websocket::<#ty>(__cx, __event, |__params| {
                    let _ = __params;
                    ::core::result::Result::Ok(#value)
                }),
            };
        }
    }
}
