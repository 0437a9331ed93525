//! `#[schedule("30 3 * * *", zone = "Europe/Berlin", missed = "skip")]` before a consumer in `export!`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::ParseStream;
use syn::{Attribute, Ident, LitStr, Token};

use crate::errors::{self, Errors};

/// What it says. The host reads expression and zone, with the nearest known name for one that it does not know.
pub(crate) struct Schedule {
    expression: LitStr,
    zone: String,
    missed: String,
    overlap: Option<LitStr>,
}

impl Schedule {
    pub(crate) fn read(attribute: &Attribute, errors: &mut Errors) -> Option<Self> {
        let parsed = attribute.parse_args_with(|input: ParseStream<'_>| {
            let expression: LitStr = input.parse()?;
            let (mut zone, mut missed, mut overlap) = (None, None, None);
            while !input.is_empty() {
                input.parse::<Token![,]>()?;
                if input.is_empty() {
                    break;
                }
                let option: Ident = input.parse()?;
                input.parse::<Token![=]>()?;
                let value: LitStr = input.parse()?;
                let kept = match option.to_string().as_str() {
                    "zone" => &mut zone,
                    "missed" => &mut missed,
                    "overlap" => &mut overlap,
                    _ => {
                        let message = "the options are `zone = \"Europe/Berlin\"`, `missed = \"skip\"` and \
                                       `overlap = \"skip\"`";
                        return Err(syn::Error::new(option.span(), message));
                    }
                };
                if kept.replace(value).is_some() {
                    return Err(syn::Error::new(option.span(), "this option is there already"));
                }
            }
            Ok((expression, zone, missed, overlap))
        });
        let (expression, zone, missed, overlap) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                errors.push(
                    error.span(),
                    format!(
                        "{error}; write a schedule as #[schedule(\"30 3 * * *\", zone = \"Europe/Berlin\")]: \
                         minute, hour, day of the month, month, day of the week"
                    ),
                );
                return None;
            }
        };
        check_expression(&expression, errors);
        if let Some(missed) = &missed
            && !matches!(missed.value().as_str(), "once" | "skip")
        {
            let message = "`missed` is \"once\", which runs the last of the moments that were missed, or \"skip\"";
            errors.push(missed.span(), message);
        }
        if let Some(overlap) = &overlap
            && !matches!(overlap.value().as_str(), "skip" | "queue")
        {
            let message = "`overlap` is \"skip\", which leaves out a moment while the run before is not over, or \
                           \"queue\", which has it wait; without it both run";
            errors.push(overlap.span(), message);
        }
        let or = |value: &Option<LitStr>, default: &str| {
            value.as_ref().map_or_else(|| default.to_owned(), LitStr::value)
        };
        let (zone, missed) = (or(&zone, "UTC"), or(&missed, "once"));
        Some(Self { expression, zone, missed, overlap })
    }
}

/// An item with the attribute above it.
pub(crate) fn misplaced(attribute: &TokenStream, item: &TokenStream) -> TokenStream {
    errors::misplaced(attribute, item, "report", |name| {
        format!(
            "a schedule stands in export!, before the name of a consumer of a channel: \
             export! {{ #[schedule(\"@daily\")] {name} }}"
        )
    })
}

fn check_expression(expression: &LitStr, errors: &mut Errors) {
    let text = expression.value();
    let fields = text.split_whitespace().count();
    if !text.starts_with('@') && !matches!(fields, 5 | 6) {
        let message = format!(
            "an expression has 5 fields, minute, hour, day of the month, month and day of the week, or 6 with \
             seconds before them; this one has {fields}"
        );
        errors.push(expression.span(), message);
    }
}

impl ToTokens for Schedule {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { expression, zone, missed, overlap } = self;
        let overlap = match overlap {
            Some(overlap) => quote!(::core::option::Option::Some(#overlap)),
            None => quote!(::core::option::Option::None),
        };
        tokens.extend(quote! {
            ::tidegate_sdk::__private::Schedule {
                expression: #expression,
                zone: #zone,
                missed: #missed,
                overlap: #overlap,
            }
        });
    }
}
