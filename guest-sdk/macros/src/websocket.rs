//! `#[websocket("/chat/{room}")]` on `impl Websocket for Chat`, or on `impl Demultiplexer`, which is
//! one, too.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{ItemImpl, LitStr, Token, Type};

use crate::errors::{Errors, broken_entry};
use crate::guards::{self, Guards};
use crate::path;

/// What stands in the brackets.
struct Attribute {
    path: LitStr,
    guards: Guards,
}

impl Parse for Attribute {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let path = input.parse::<LitStr>().map_err(|error| {
            let message = if input.is_empty() {
                "say the path that clients connect to: #[websocket(\"/chat/{room}\")]"
            } else {
                "write the path as text: #[websocket(\"/chat/{room}\")]"
            };
            syn::Error::new(error.span(), message)
        })?;
        let mut guards = Guards::default();
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let option: Ident = input.parse()?;
            if !guards.take(&option, input)? {
                let message = format!("unknown option `{option}`: there are {}", guards::FORMS);
                return Err(syn::Error::new(option.span(), message));
            }
        }
        Ok(Self { path, guards })
    }
}

pub(crate) fn expand(attribute: &TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let attribute = errors.take(syn::parse2::<Attribute>(attribute.clone()));
    let Ok(block) = syn::parse2::<ItemImpl>(item.clone()) else {
        errors.at(item, "#[websocket] goes on an impl: impl Websocket for Chat { .. }");
        return errors.finish(item);
    };
    let Some(name) = check(&block, &mut errors) else {
        return errors.finish(item);
    };
    let entry = attribute.map(|attribute| entry(&block, &name, &attribute, &mut errors));
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
    let is_consumer = |ident: &Ident| ident == "Websocket" || ident == "Demultiplexer";
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

fn entry(
    block: &ItemImpl,
    name: &str,
    Attribute { path: literal, guards }: &Attribute,
    errors: &mut Errors,
) -> TokenStream {
    guards.check(errors);
    let text = literal.value();
    if let Some((before, path)) = text.split_once(' ') {
        let message = format!("a WebSocket has no method: remove `{before}`, write \"{path}\"");
        errors.push(literal.span(), message);
        return TokenStream::new();
    }
    let names = path::params(&text, literal, errors);
    let keys = names.iter().map(ToString::to_string);
    let guards = guards.expand();
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
                prefix: "",
                schedule: ::core::option::Option::None,
                presence: ::core::option::Option::None,
                histories: &[],
                resume: ::core::option::Option::None,
                access: ::core::option::Option::None,
                trigger: ::tidegate_sdk::__private::Trigger::Websocket {
                    path: #text,
                    guards: #guards,
                },
                run: |__cx, __event| ::tidegate_sdk::__private::websocket::<#ty>(__cx, __event, |__params| {
                    let _ = __params;
                    ::core::result::Result::Ok(#value)
                }),
            };
        }
    }
}
