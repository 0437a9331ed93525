//! `#[presence("room.*", leave_after = "5s", interval = "1s", list = 100)]` before a consumer in `export!`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::ParseStream;
use syn::{Attribute, Ident, LitInt, LitStr, Token};

use crate::errors::{self, Errors};
use crate::group_pattern;
use crate::span;

/// How it is written.
const FORM: &str =
    "write #[presence(\"room.*\", leave_after = \"5s\", interval = \"1s\", list = 100)]";

/// The groups and options of the attribute. Times are in milliseconds.
#[derive(Default)]
pub(crate) struct Presence {
    groups: Vec<LitStr>,
    leave_after: Option<u64>,
    interval: Option<u64>,
    list: Option<u64>,
}

impl Presence {
    pub(crate) fn read(attribute: &Attribute, errors: &mut Errors) -> Option<Self> {
        match attribute.parse_args_with(Self::parse) {
            Ok(presence) if presence.groups.is_empty() => {
                errors.at(attribute, format!("it names no group; {FORM}"));
                None
            }
            Ok(presence) => {
                for error in presence.groups.iter().filter_map(|it| group_pattern::check(it).err())
                {
                    errors.push(error.span(), error.to_string());
                }
                Some(presence)
            }
            Err(error) => {
                errors.push(error.span(), format!("{error}; {FORM}"));
                None
            }
        }
    }

    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut presence = Self::default();
        while !input.is_empty() {
            if let Some(group) = input.parse::<Option<LitStr>>()? {
                presence.groups.push(group);
            } else {
                let option: Ident = input.parse()?;
                input.parse::<Token![=]>()?;
                let before = match option.to_string().as_str() {
                    "leave_after" => {
                        presence.leave_after.replace(span::milliseconds(&input.parse()?)?)
                    }
                    "interval" => presence.interval.replace(span::milliseconds(&input.parse()?)?),
                    "list" => presence.list.replace(input.parse::<LitInt>()?.base10_parse()?),
                    _ => {
                        let message = "the options are `leave_after`, `interval` and `list`";
                        return Err(syn::Error::new(option.span(), message));
                    }
                };
                if before.is_some() {
                    return Err(syn::Error::new(option.span(), "this option is there already"));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(presence)
    }
}

/// An item with the attribute above it.
pub(crate) fn misplaced(attribute: &TokenStream, item: &TokenStream) -> TokenStream {
    errors::misplaced(attribute, item, "Room", |name| {
        format!(
            "presence stands in export!, before the name of a consumer: \
             export! {{ #[presence(\"room.*\")] {name} }}"
        )
    })
}

impl ToTokens for Presence {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { groups, leave_after, interval, list } = self;
        let optional = |value: &Option<u64>| match value {
            Some(value) => quote!(::core::option::Option::Some(#value)),
            None => quote!(::core::option::Option::None),
        };
        let (leave_after, interval, list) =
            (optional(leave_after), optional(interval), optional(list));
        tokens.extend(quote! {
            ::tidegate_sdk::__private::Presence {
                groups: &[#(#groups),*],
                leave_after: #leave_after,
                interval: #interval,
                list: #list,
            }
        });
    }
}
