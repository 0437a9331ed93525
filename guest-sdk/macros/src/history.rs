//! `#[history("room.*", messages = 100, age = "24h", bytes = "1MiB")]` before a consumer in `export!`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::ParseStream;
use syn::{Attribute, Ident, Lit, LitStr, Token};

use crate::errors::{self, Errors};
use crate::group_pattern;

/// Groups that are remembered, and how much of each. The host checks what the numbers may be.
pub(crate) struct History {
    pattern: LitStr,
    messages: u64,
    age: u64,
    bytes: u64,
}

/// How the attribute is written.
const FORM: &str = "write #[history(\"room.*\", messages = 100, age = \"24h\", bytes = \"1MiB\")]";
const AGES: &[(&str, u64)] = &[("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
const SIZES: &[(&str, u64)] = &[("KiB", 1 << 10), ("MiB", 1 << 20)];

impl History {
    pub(crate) fn read(attribute: &Attribute, errors: &mut Errors) -> Option<Self> {
        let parsed = attribute.parse_args_with(|input: ParseStream<'_>| {
            let pattern: LitStr = input.parse()?;
            group_pattern::check(&pattern)?;
            let (mut messages, mut age, mut bytes) = (None, None, None);
            while !input.is_empty() {
                input.parse::<Token![,]>()?;
                if input.is_empty() {
                    break;
                }
                let option: Ident = input.parse()?;
                input.parse::<Token![=]>()?;
                let value: Lit = input.parse()?;
                let (kept, units) = match option.to_string().as_str() {
                    "messages" => (&mut messages, &[][..]),
                    "age" => (&mut age, AGES),
                    "bytes" => (&mut bytes, SIZES),
                    _ => {
                        let message = "the options are `messages`, `age` and `bytes`";
                        return Err(syn::Error::new(option.span(), message));
                    }
                };
                if kept.replace(number(&value, units)?).is_some() {
                    return Err(syn::Error::new(option.span(), "this option is there already"));
                }
            }
            Ok(Self {
                pattern,
                messages: messages.unwrap_or(100),
                age: age.unwrap_or(3_600),
                bytes: bytes.unwrap_or(256 << 10),
            })
        });
        let wrong = |error: &syn::Error| errors.push(error.span(), format!("{error}; {FORM}"));
        parsed.inspect_err(wrong).ok()
    }
}

/// A number, or a text of a number and one of the units.
fn number(value: &Lit, units: &[(&str, u64)]) -> syn::Result<u64> {
    let names: Vec<_> = units.iter().map(|(unit, _)| *unit).collect();
    let rule = match units {
        [] => "this is a number".to_owned(),
        _ => format!("this is a text of a number and one of {}", names.join(", ")),
    };
    let wrong = || syn::Error::new(value.span(), &rule);
    match value {
        Lit::Int(number) if units.is_empty() => number.base10_parse(),
        Lit::Str(text) => {
            let text = text.value();
            let read = |(unit, factor): &(&str, u64)| {
                let digits = text.strip_suffix(unit)?.trim_end();
                let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
                digits.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(*factor)
            };
            units.iter().find_map(read).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

/// An item with the attribute above it.
pub(crate) fn misplaced(attribute: &TokenStream, item: &TokenStream) -> TokenStream {
    errors::misplaced(attribute, item, "Room", |name| {
        format!(
            "it stands in export!, before the name of a consumer: export! {{ #[history(\"room.*\")] {name} }}"
        )
    })
}

impl ToTokens for History {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { pattern, messages, age, bytes } = self;
        tokens.extend(quote! {
            ::tidegate_sdk::__private::Remembering {
                pattern: #pattern,
                messages: #messages,
                age: #age,
                bytes: #bytes,
            }
        });
    }
}
