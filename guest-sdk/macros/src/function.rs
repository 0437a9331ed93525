//! Functions as consumers: what may stand in their signature.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{FnArg, ItemFn, Pat, Type};

use crate::errors::Errors;

/// One parameter of a consumer function.
pub(crate) enum Param<'a> {
    /// `&mut Context`.
    Context,
    /// `Request`, or a reference to one.
    Request { by_reference: bool, argument: &'a FnArg },
    /// Anything else, with its name if it has one, and the type without a `&` in front.
    Other { name: Option<Ident>, argument: &'a FnArg, ty: &'a Type, by_reference: bool },
}

impl Param<'_> {
    /// A type that can be made for a parameter of this one: `String` for `&str`.
    pub(crate) fn owned(ty: &Type) -> TokenStream {
        match last_segment(ty).as_deref() {
            Some("str") => quote!(::std::string::String),
            _ => quote!(#ty),
        }
    }

    /// The argument for it: the variable, or a reference to it.
    pub(crate) fn pass(by_reference: bool, variable: &Ident) -> TokenStream {
        if by_reference { quote!(&#variable) } else { quote!(#variable) }
    }
}

/// The function's parameters. Reports what no consumer may have.
pub(crate) fn params<'a>(function: &'a ItemFn, errors: &mut Errors) -> Vec<Param<'a>> {
    let signature = &function.sig;
    if let Some(token) = &signature.asyncness {
        errors
            .at(token, "a consumer is a plain function: remove `async`, and block where you like");
    }
    if let Some(token) = &signature.unsafety {
        errors.at(token, "a consumer is a safe function: remove `unsafe`");
    }
    if !signature.generics.params.is_empty() {
        errors.at(&signature.generics, "a consumer has no generic parameters: name the types");
    }
    let mut contexts = 0;
    let mut params = Vec::new();
    for argument in &signature.inputs {
        let FnArg::Typed(typed) = argument else {
            errors.at(argument, "a consumer is a free function: remove `self`");
            continue;
        };
        let param = classify(argument, typed, errors);
        if matches!(param, Param::Context) {
            contexts += 1;
            if contexts == 2 {
                errors.at(argument, "one `&mut Context` is enough: remove this one");
            }
        }
        params.push(param);
    }
    params
}

fn classify<'a>(argument: &'a FnArg, typed: &'a syn::PatType, errors: &mut Errors) -> Param<'a> {
    let (inner, reference) = match &*typed.ty {
        Type::Reference(reference) => (&*reference.elem, Some(reference)),
        other => (other, None),
    };
    match last_segment(inner).as_deref() {
        Some("Context") => {
            if reference.is_none_or(|reference| reference.mutability.is_none()) {
                errors.at(&typed.ty, "a consumer takes the context as `&mut Context`");
            }
            Param::Context
        }
        Some("Request") => {
            if reference.is_some_and(|reference| reference.mutability.is_some()) {
                errors.at(&typed.ty, "a consumer takes the request as `Request` or `&Request`");
            }
            Param::Request { by_reference: reference.is_some(), argument }
        }
        _ => {
            let name = match &*typed.pat {
                Pat::Ident(pat) => Some(pat.ident.clone()),
                _ => None,
            };
            if reference.is_some_and(|reference| reference.mutability.is_some()) {
                errors.at(&typed.ty, "take it by value or with `&`, without `mut`");
            }
            Param::Other { name, argument, ty: inner, by_reference: reference.is_some() }
        }
    }
}

/// Whether a type is one of the language's or the standard library's that hold one value.
pub(crate) fn is_plain(ty: &Type) -> bool {
    const PLAIN: &[&str] = &[
        "String", "str", "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize",
        "u8", "u16", "u32", "u64", "u128", "usize",
    ];
    match ty {
        Type::Tuple(_) => true,
        _ => last_segment(ty).is_some_and(|name| PLAIN.contains(&name.as_str())),
    }
}

/// `Context` of `tidegate_sdk::Context`.
fn last_segment(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        _ => None,
    }
}

/// The function's companion in the type namespace, by which `export!` finds it: a function and a
/// struct with braces may share a name.
pub(crate) fn companion(function: &ItemFn) -> TokenStream {
    let ItemFn { vis, sig, .. } = function;
    let name = &sig.ident;
    quote! {
        #[doc(hidden)]
        #[allow(
            non_camel_case_types,
            missing_debug_implementations,
            dead_code,
            unreachable_pub,
            clippy::allow_attributes,
            clippy::allow_attributes_without_reason
        )]
        #vis struct #name {}
    }
}

/// A variable of a shim. All of them start with `__`, since a function called `request` would
/// otherwise be hidden by the shim's request.
pub(crate) fn variable(position: usize) -> Ident {
    format_ident!("__tidegate_{position}")
}
