//! `#[channel("thumbnails.make", retries = 5)]` on a function.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Ident, ItemFn, LitInt, LitStr, ReturnType, Token};

use crate::errors::{Errors, broken_entry};
use crate::function::{self, Param};

pub(crate) fn expand(attribute: &TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let Attribute { channel, retries } = Attribute::read(attribute, &mut errors);
    let Ok(function) = syn::parse2::<ItemFn>(item.clone()) else {
        errors.at(item, "#[channel] goes on a function: fn make(job: Job)");
        return errors.finish(item);
    };
    let params = function::params(&function, &mut errors);
    check_params(&params, &mut errors);
    let companion = function::companion(&function);
    if errors.is_empty() {
        let entry = entry(&function, &channel, retries, &params);
        return quote!(#item #companion #entry);
    }
    let broken = broken_entry(&function.sig.ident.to_token_stream());
    errors.finish(&quote!(#item #companion #broken))
}

/// `"thumbnails.make"` or `"thumbnails.make", retries = 5`
#[derive(Default)]
struct Attribute {
    channel: String,
    retries: Option<u32>,
}

/// The most that a message is run again; a name must leave room for `.dead`.
const MOST_RETRIES: u32 = 100;
const LONGEST_LASTING: usize = 94;

impl Attribute {
    fn read(attribute: &TokenStream, errors: &mut Errors) -> Self {
        let parse = |input: ParseStream<'_>| {
            let name: LitStr = input.parse()?;
            if input.is_empty() {
                return Ok((name, None));
            }
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                return Ok((name, None));
            }
            let option: Ident = input.parse()?;
            if option != "retries" {
                return Err(syn::Error::new(option.span(), "the one option is `retries = 5`"));
            }
            input.parse::<Token![=]>()?;
            let number: LitInt = input.parse()?;
            input.parse::<Option<Token![,]>>()?;
            Ok((name, Some(number)))
        };
        if attribute.is_empty() || !starts_with_text(attribute) {
            let at = if attribute.is_empty() { Span::call_site() } else { attribute.span() };
            errors.push(at, "name the channel: #[channel(\"thumbnails.make\")]");
            return Self::default();
        }
        let (name, number) = match parse.parse2(attribute.clone()) {
            Ok(read) => read,
            Err(error) => {
                errors.push(error.span(), error.to_string());
                return Self::default();
            }
        };
        let channel = name.value();
        check_name(&channel, name.span(), errors);
        let retries = number.as_ref().map(|number| match number.base10_parse::<u32>() {
            Ok(retries @ 1..=MOST_RETRIES) => {
                if channel.len() > LONGEST_LASTING {
                    let message = format!(
                        "with retries a channel name has at most {LONGEST_LASTING} bytes, this one \
                         has {}: what cannot be done goes to the channel with `.dead` behind it",
                        channel.len()
                    );
                    errors.push(name.span(), message);
                }
                retries
            }
            _ => {
                let message = format!("a message is run again 1 to {MOST_RETRIES} times");
                errors.push(number.span(), message);
                1
            }
        });
        Self { channel, retries }
    }
}

fn starts_with_text(attribute: &TokenStream) -> bool {
    let first = attribute.clone().into_iter().next();
    first.is_some_and(|token| syn::parse2::<LitStr>(token.into()).is_ok())
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

fn entry(
    function: &ItemFn,
    channel: &str,
    retries: Option<u32>,
    params: &[Param<'_>],
) -> TokenStream {
    let retries = match retries {
        Some(retries) => quote!(::core::option::Option::Some(#retries)),
        None => quote!(::core::option::Option::None),
    };
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
                schedule: ::core::option::Option::None,
                presence: ::core::option::Option::None,
                histories: &[],
                resume: ::core::option::Option::None,
                access: ::core::option::Option::None,
                trigger: ::tidegate_sdk::__private::Trigger::Channel {
                    name: #channel,
                    retries: #retries,
                },
                run: |__cx, __event| ::tidegate_sdk::__private::channel(__cx, __event, |__cx, __content| {
                    let _ = (&__cx, __content);
                    #(#reads)*
                    #done
                }),
            };
        }
    }
}
