//! `#[user]`, `#[user(optional)]` and `#[claims(role = "admin")]` before a consumer or a prefix in `export!`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, Lit, LitStr, Meta, Token};

use crate::errors::{self, Errors};

/// The demands of a consumer on the user.
#[derive(Clone, Default)]
pub(crate) struct Access {
    user: Option<Asked>,
    claims: Vec<Claim>,
}

#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Required,
    Optional,
}

#[derive(Clone)]
struct Claim {
    name: String,
    values: Vec<Value>,
}

#[derive(Clone)]
enum Value {
    Text(String),
    Integer(i64),
    Bool(bool),
}

/// How the attributes are written.
const FORMS: &str =
    "write #[user], #[user(optional)] or #[claims(role = \"admin\", level = [1, 2])]";

impl Access {
    pub(crate) const fn is_empty(&self) -> bool {
        self.user.is_none() && self.claims.is_empty()
    }

    /// Reads an attribute, if it is one of these. What it says comes on top of what stands before the prefix
    /// around it.
    pub(crate) fn take(&mut self, attribute: &Attribute, errors: &mut Errors) -> bool {
        if attribute.path().is_ident("user") {
            self.take_user(attribute, errors);
        } else if attribute.path().is_ident("claims") {
            self.take_claims(attribute, errors);
        } else {
            return false;
        }
        if self.user == Some(Asked::Optional) && !self.claims.is_empty() {
            errors
                .at(attribute, "claims are those of a user: write #[user] or nothing beside them");
        }
        true
    }

    fn take_user(&mut self, attribute: &Attribute, errors: &mut Errors) {
        let asked = match &attribute.meta {
            Meta::Path(_) => Some(Asked::Required),
            Meta::List(_) => {
                let word = attribute.parse_args::<Ident>();
                word.ok().filter(|word| word == "optional").map(|_| Asked::Optional)
            }
            Meta::NameValue(_) => None,
        };
        let Some(asked) = asked else {
            errors.at(attribute, FORMS);
            return;
        };
        if self.user.replace(asked).is_some() {
            errors.at(
                attribute,
                "what it asks of the user is said already, here or before the prefix",
            );
        }
    }

    fn take_claims(&mut self, attribute: &Attribute, errors: &mut Errors) {
        match attribute.parse_args::<Claims>() {
            Ok(Claims(claims)) if !claims.is_empty() => {
                for claim in claims {
                    if self.claims.iter().any(|known| known.name == claim.name) {
                        let message = format!("the claim `{}` is there already", claim.name);
                        errors.at(attribute, message);
                    }
                    self.claims.push(claim);
                }
            }
            Ok(_) => errors.at(attribute, FORMS),
            Err(error) => errors.push(error.span(), format!("{error}; {FORMS}")),
        }
    }
}

struct Claims(Vec<Claim>);

impl Parse for Claims {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut claims = Vec::new();
        while !input.is_empty() {
            // Claims of others have names such as "https://example.com/role".
            let name = match input.parse::<Option<LitStr>>()? {
                Some(name) => name.value(),
                None => input.parse::<Ident>()?.to_string(),
            };
            input.parse::<Token![=]>()?;
            let mut values = Vec::new();
            if input.peek(syn::token::Bracket) {
                let list;
                syn::bracketed!(list in input);
                for value in list.parse_terminated(Value::parse, Token![,])? {
                    values.push(value);
                }
                if values.is_empty() {
                    let message = "the list is empty: nobody has such a claim";
                    return Err(syn::Error::new(list.span(), message));
                }
            } else {
                values.push(input.parse()?);
            }
            claims.push(Claim { name, values });
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(Self(claims))
    }
}

impl Parse for Value {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let minus = input.parse::<Option<Token![-]>>()?;
        let literal: Lit = input.parse()?;
        match (&literal, minus) {
            (Lit::Str(text), None) => Ok(Self::Text(text.value())),
            (Lit::Bool(value), None) => Ok(Self::Bool(value.value)),
            (Lit::Int(number), None) => Ok(Self::Integer(number.base10_parse()?)),
            (Lit::Int(number), Some(_)) => {
                let digits = number.base10_digits();
                let parsed = format!("-{digits}").parse();
                parsed.map(Self::Integer).map_err(|error| syn::Error::new(number.span(), error))
            }
            _ => Err(syn::Error::new(
                literal.span(),
                "a claim is compared with a text, an integer, true or false",
            )),
        }
    }
}

/// An item with the attribute above it.
pub(crate) fn misplaced(what: &str, attribute: &TokenStream, item: &TokenStream) -> TokenStream {
    errors::misplaced(attribute, item, "room", |name| {
        format!(
            "it stands in export!, before the name of a consumer: export! {{ #[{what}] {name} }}"
        )
    })
}

impl ToTokens for Access {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let user = match self.user {
            Some(Asked::Optional) => "optional",
            _ => "required",
        };
        let claims =
            self.claims.iter().map(|Claim { name, values }| quote!((#name, &[#(#values),*])));
        tokens.extend(quote! {
            ::tidegate_sdk::__private::Access { user: #user, claims: &[#(#claims),*] }
        });
    }
}

impl ToTokens for Value {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(match self {
            Self::Text(text) => quote!(::tidegate_sdk::__private::ClaimValue::Text(#text)),
            Self::Integer(number) => {
                quote!(::tidegate_sdk::__private::ClaimValue::Integer(#number))
            }
            Self::Bool(value) => quote!(::tidegate_sdk::__private::ClaimValue::Bool(#value)),
        });
    }
}
