//! Guards of routes: `host = "api.example.com"`, `header("x-version", "2")`.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{LitStr, Token};

use crate::errors::Errors;

/// What has to hold of a request besides method and path.
#[derive(Default)]
pub(crate) struct Guards {
    host: Option<LitStr>,
    headers: Vec<(LitStr, LitStr)>,
}

/// How guards are written, for messages about unknown options.
pub(crate) const FORMS: &str = "`host = \"api.example.com\"` and `header(\"x-version\", \"2\")`";

impl Guards {
    /// Reads what follows the name of an option, if it is a guard.
    pub(crate) fn take(&mut self, option: &Ident, input: ParseStream<'_>) -> syn::Result<bool> {
        if option == "host" {
            input.parse::<Token![=]>()?;
            if self.host.is_some() {
                let message = "a route has one host: remove this one, or write `*.example.com`";
                return Err(syn::Error::new(option.span(), message));
            }
            self.host = Some(input.parse()?);
        } else if option == "header" {
            let field;
            syn::parenthesized!(field in input);
            let parsed = Punctuated::<LitStr, Token![,]>::parse_terminated(&field)?;
            let mut texts = parsed.into_iter();
            let (Some(name), Some(value), None) = (texts.next(), texts.next(), texts.next()) else {
                let message = "a header guard is a name and a value: header(\"x-version\", \"2\")";
                return Err(syn::Error::new(option.span(), message));
            };
            self.headers.push((name, value));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Reports what no request can meet, with the rules of the host.
    pub(crate) fn check(&self, errors: &mut Errors) {
        if let Some(host) = &self.host {
            check_host(host, errors);
        }
        for (position, (name, value)) in self.headers.iter().enumerate() {
            check_name(name, errors);
            let earlier = |(known, _): &&(LitStr, LitStr)| lower(known) == lower(name);
            if self.headers.iter().take(position).any(|field| earlier(&field)) {
                let message = format!("`{}` is there twice: the first field counts", name.value());
                errors.push(name.span(), message + ", so name one value");
            }
            let text = value.value();
            if text.trim() != text || text.contains(char::is_control) {
                let message = "no request has such a value: remove white space around it and \
                               control characters";
                errors.push(value.span(), message);
            }
        }
    }

    /// The value of `Guards` in `tidegate_sdk`. Names in lower case, so that they can be compared.
    pub(crate) fn expand(&self) -> TokenStream {
        let host = match self.host.as_ref().map(lower) {
            Some(host) => quote!(::core::option::Option::Some(#host)),
            None => quote!(::core::option::Option::None),
        };
        let headers = self.headers.iter().map(|(name, value)| {
            let name = lower(name);
            quote!((#name, #value))
        });
        quote! {
            ::tidegate_sdk::__private::Guards { host: #host, headers: &[#(#headers),*] }
        }
    }
}

fn lower(literal: &LitStr) -> String {
    literal.value().to_ascii_lowercase()
}

fn check_host(literal: &LitStr, errors: &mut Errors) {
    let text = literal.value();
    let name = text.strip_prefix("*.").unwrap_or(&text);
    let is_label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(fits)
    };
    let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_address = address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    if is_address || (name.len() <= 253 && name.split('.').all(is_label)) {
        return;
    }
    let port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let message = match text.split_once(':') {
        Some((host, after)) if port(after) => {
            format!("hosts are compared without the port: write \"{host}\"")
        }
        _ => format!(
            "`{text}` is no host: write a name such as \"api.example.com\", or \"*.example.com\" for \
             every name under it"
        ),
    };
    errors.push(literal.span(), message);
}

fn check_name(literal: &LitStr, errors: &mut Errors) {
    let name = literal.value();
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let message = if name.is_empty() || !name.bytes().all(is_token) {
        format!("`{name}` is no name of a header field: write one such as \"x-version\"")
    } else if name.contains('_') {
        let dashed = name.replace('_', "-");
        format!(
            "fields with `_` are ignored, since gateways confuse it with `-`: write \"{dashed}\""
        )
    } else if name.eq_ignore_ascii_case("host") {
        "the host is a guard of its own: write `host = \"api.example.com\"`".to_owned()
    } else {
        return;
    };
    errors.push(literal.span(), message);
}
