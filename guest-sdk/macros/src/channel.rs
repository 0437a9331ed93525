//! `#[channel("thumbnails.make")]` on a function.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemFn, LitStr, ReturnType};

use crate::errors::{Errors, broken_entry};
use crate::function::{self, Param};

pub(crate) fn expand(attribute: &TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let channel = match syn::parse2::<LitStr>(attribute.clone()) {
        Ok(literal) => {
            check_name(&literal.value(), literal.span(), &mut errors);
            literal.value()
        }
        Err(_) => {
            let at = if attribute.is_empty() { Span::call_site() } else { attribute.span() };
            errors.push(at, "name the channel: #[channel(\"thumbnails.make\")]");
            String::new()
        }
    };
    let Ok(function) = syn::parse2::<ItemFn>(item.clone()) else {
        errors.at(item, "#[channel] goes on a function: fn make(job: Job)");
        return errors.finish(item);
    };
    let params = function::params(&function, &mut errors);
    check_params(&params, &mut errors);
    let companion = function::companion(&function);
    if errors.is_empty() {
        let entry = entry(&function, &channel, &params);
        return quote!(#item #companion #entry);
    }
    let broken = broken_entry(&function.sig.ident.to_token_stream());
    errors.finish(&quote!(#item #companion #broken))
}

fn check_name(name: &str, span: Span, errors: &mut Errors) {
    for prefix in ["http.", "websocket."] {
        if name.starts_with(prefix) {
            let message = format!(
                "channels under `{prefix}` belong to the interface server: start the name with a \
                 word of your own"
            );
            errors.push(span, message);
        }
    }
    if name.is_empty() || name.len() > 99 {
        let message = format!("a channel name has 1 to 99 bytes, this one has {}", name.len());
        errors.push(span, message);
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(bad) = name.chars().find(|&c| !is_allowed(c)) {
        let message = format!("a channel name has no {bad:?}: use a-z A-Z 0-9 . _ -");
        errors.push(span, message);
    }
}

fn check_params(params: &[Param<'_>], errors: &mut Errors) {
    let mut payloads = 0;
    for param in params {
        match param {
            Param::Context => {}
            Param::Request { argument, .. } => errors.at(
                argument,
                "a message on a channel comes with no request: take a type of your own that \
                 implements `Deserialize`",
            ),
            Param::Other { argument, .. } => {
                payloads += 1;
                if payloads == 2 {
                    errors.at(argument, "a message has one content: take it as one struct");
                }
            }
        }
    }
}

fn entry(function: &ItemFn, channel: &str, params: &[Param<'_>]) -> TokenStream {
    let name = &function.sig.ident;
    let mut reads = Vec::new();
    let mut arguments = Vec::new();
    for (position, param) in params.iter().enumerate() {
        arguments.push(match param {
            Param::Context | Param::Request { .. } => quote!(__cx),
            Param::Other { ty, by_reference, .. } => {
                let variable = function::variable(position);
                let owned = Param::owned(ty);
                reads.push(quote_spanned! {ty.span()=>
                    let #variable: #owned = ::tidegate_sdk::__private::read(__content)?;
                });
                Param::pass(*by_reference, &variable)
            }
        });
    }
    let span = match &function.sig.output {
        ReturnType::Type(_, ty) => ty.span(),
        ReturnType::Default => name.span(),
    };
    let done = quote_spanned! {span=>
        ::tidegate_sdk::__private::into_done(#name(#(#arguments),*))
    };
    let consumer_name = name.to_string();
    quote! {
        #[automatically_derived]
        impl ::tidegate_sdk::__private::Consumer for #name {
            const ENTRY: ::tidegate_sdk::__private::Entry = ::tidegate_sdk::__private::Entry {
                name: #consumer_name,
                prefix: "",
                trigger: ::tidegate_sdk::__private::Trigger::Channel { name: #channel },
                run: |__cx, __event| ::tidegate_sdk::__private::channel(__cx, __event, |__cx, __content| {
                    let _ = (&__cx, __content);
                    #(#reads)*
                    #done
                }),
            };
        }
    }
}
