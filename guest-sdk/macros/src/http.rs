//! `#[http("GET /hello/{name}")]` on a function.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{ItemFn, LitStr, Token};

use crate::errors::{Errors, broken_entry};
use crate::function::{self, Param};
use crate::guards::{self, Guards};
use crate::path;

/// What stands in the brackets.
struct Attribute {
    route: LitStr,
    guards: Guards,
    disconnect: Option<syn::Path>,
}

impl Parse for Attribute {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let route = input.parse::<LitStr>().map_err(|error| {
            syn::Error::new(error.span(), "say what the consumer answers: #[http(\"GET /hello\")]")
        })?;
        let mut guards = Guards::default();
        let mut disconnect = None;
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let option: Ident = input.parse()?;
            if guards.take(&option, input)? {
                continue;
            }
            if option != "disconnect" {
                let message = format!(
                    "unknown option `{option}`: there are `disconnect = function`, {}",
                    guards::FORMS
                );
                return Err(syn::Error::new(option.span(), message));
            }
            input.parse::<Token![=]>()?;
            disconnect = Some(input.parse()?);
        }
        Ok(Self { route, guards, disconnect })
    }
}

/// Methods, path, and what the path captures.
struct Route {
    methods: Vec<String>,
    path: String,
    names: Vec<Ident>,
}

pub(crate) fn expand(attribute: &TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let attribute = errors.take(syn::parse2::<Attribute>(attribute.clone()));
    let Ok(function) = syn::parse2::<ItemFn>(item.clone()) else {
        errors.at(item, "#[http] goes on a function: fn hello(name: String) -> Response");
        return errors.finish(item);
    };
    let name = &function.sig.ident;
    let companion = function::companion(&function);
    let params = function::params(&function, &mut errors);
    let entry = attribute.map(|attribute| {
        attribute.guards.check(&mut errors);
        let mut route_errors = Errors::default();
        let route = parse_route(&attribute.route, &mut route_errors);
        // With a broken path, what is and is not in it means nothing.
        if !route_errors.is_empty() {
            errors.append(route_errors);
            return TokenStream::new();
        }
        check_params(&route, &params, &attribute.route, &mut errors);
        entry(&function, &route, &params, &attribute)
    });
    match entry {
        Some(entry) if errors.is_empty() => quote!(#item #companion #entry),
        _ => {
            let broken = broken_entry(&name.to_token_stream());
            errors.finish(&quote!(#item #companion #broken))
        }
    }
}

fn parse_route(literal: &LitStr, errors: &mut Errors) -> Route {
    let text = literal.value();
    let (methods, path) = match text.split_once(' ') {
        Some((methods, path)) => (methods, path.trim_start()),
        None if text.starts_with('/') => {
            errors.push(literal.span(), format!("say which method: \"GET {text}\""));
            ("", text.as_str())
        }
        None => {
            errors.push(literal.span(), "write a method, a space and a path: \"GET /hello\"");
            return Route { methods: Vec::new(), path: String::new(), names: Vec::new() };
        }
    };
    let methods: Vec<String> = match methods {
        "" => Vec::new(),
        methods => methods.split('|').map(str::to_owned).collect(),
    };
    for (position, method) in methods.iter().enumerate() {
        check_method(method, literal.span(), errors);
        if methods.iter().take(position).any(|earlier| earlier == method) {
            errors.push(literal.span(), format!("`{method}` stands there twice: remove one"));
        }
    }
    let names = path::params(path, literal, errors);
    Route { methods, path: path.to_owned(), names }
}

fn check_method(method: &str, span: Span, errors: &mut Errors) {
    let upper = method.to_ascii_uppercase();
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        errors.push(
            span,
            format!("`{method}` is no method: write \"GET /path\" or \"GET|POST /path\""),
        );
    } else if method != upper {
        errors.push(span, format!("methods are in upper case: write `{upper}`"));
    }
}

fn check_params(route: &Route, params: &[Param<'_>], literal: &LitStr, errors: &mut Errors) {
    let mut requests = 0;
    for param in params {
        match param {
            Param::Context => {}
            Param::Request { argument, .. } => {
                requests += 1;
                if requests == 2 {
                    errors.at(argument, "there is one request: remove this parameter");
                }
            }
            Param::Other { name, argument, ty, .. } => {
                let in_path = name.as_ref().is_some_and(|name| captured(route, name).is_some());
                // What no extractor can be was meant for the path.
                if !in_path && function::is_plain(ty) {
                    not_in_the_path(route, name.as_ref(), argument, errors);
                }
            }
        }
    }
    if requests > 0 {
        // The others can be read with `Request::param`.
        return;
    }
    for name in &route.names {
        let taken = params.iter().any(|param| match param {
            Param::Other { name: Some(taken), .. } => is_same(taken, name),
            _ => false,
        });
        if !taken {
            errors.push(
                literal.span(),
                format!("the path captures `{name}`, which the function does not take: add `{name}: String`"),
            );
        }
    }
}

fn not_in_the_path(
    route: &Route,
    name: Option<&Ident>,
    argument: &syn::FnArg,
    errors: &mut Errors,
) {
    let Some(name) = name else {
        errors.at(argument, "a path parameter is taken by its name: write `name: Type`");
        return;
    };
    let bare = name.to_string();
    let bare = bare.trim_start_matches('_');
    let message = format!(
        "`{bare}` is not in the path \"{}\": write `{{{bare}}}` there, or remove the parameter. \
         Besides path parameters a consumer takes `&mut Context`, `Request` and types that are \
         `FromRequest`, such as `Query<T>`",
        route.path
    );
    errors.at(argument, message);
}

/// The path parameter that a function parameter takes. `_name` takes `name`.
fn captured<'a>(route: &'a Route, taken: &Ident) -> Option<&'a Ident> {
    route.names.iter().find(|name| is_same(taken, name))
}

fn is_same(taken: &Ident, name: &Ident) -> bool {
    taken == name || taken.to_string().strip_prefix('_').is_some_and(|taken| name == taken)
}

fn entry(
    function: &ItemFn,
    route: &Route,
    params: &[Param<'_>],
    attribute: &Attribute,
) -> TokenStream {
    let name = &function.sig.ident;
    let Route { methods, path, .. } = route;
    let guards = attribute.guards.expand();
    let wants_disconnect = attribute.disconnect.is_some();
    let disconnect = match &attribute.disconnect {
        Some(disconnect) => {
            let span = syn::spanned::Spanned::span(disconnect);
            let done =
                quote_spanned!(span=> ::tidegate_sdk::__private::into_done(#disconnect(__cx)));
            quote!(::core::option::Option::Some(|__cx| #done))
        }
        None => quote!(::core::option::Option::None),
    };
    // A path that means nothing is told before a mistake in the rest of the request.
    let (mut reads, mut extracts) = (Vec::new(), Vec::new());
    let mut arguments = Vec::new();
    for (position, param) in params.iter().enumerate() {
        arguments.push(match param {
            Param::Context => quote!(__cx),
            Param::Request { by_reference: true, .. } => quote!(&__request),
            Param::Request { by_reference: false, .. } => quote!(__request),
            Param::Other { name, ty, by_reference, .. } => {
                let variable = function::variable(position);
                let key = name.as_ref().and_then(|name| captured(route, name));
                let span = syn::spanned::Spanned::span(ty);
                let owned = Param::owned(ty);
                match key.map(ToString::to_string) {
                    Some(key) => reads.push(quote_spanned! {span=>
                        let #variable: #owned =
                            ::tidegate_sdk::__private::param(&__request, #key)?;
                    }),
                    None => extracts.push(quote_spanned! {span=>
                        let #variable: #owned =
                            ::tidegate_sdk::__private::extract(&__request, __cx)?;
                    }),
                }
                Param::pass(*by_reference, &variable)
            }
        });
    }
    let span = match &function.sig.output {
        syn::ReturnType::Type(_, ty) => syn::spanned::Spanned::span(ty),
        syn::ReturnType::Default => name.span(),
    };
    let answer = quote_spanned! {span=>
        ::tidegate_sdk::__private::into_reply(#name(#(#arguments),*))
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
                trigger: ::tidegate_sdk::__private::Trigger::Http {
                    methods: &[#(#methods),*],
                    path: #path,
                    guards: #guards,
                    disconnect: #wants_disconnect,
                },
                run: |__cx, __event| ::tidegate_sdk::__private::http(
                    __cx,
                    __event,
                    |__cx, __request| {
                        let _ = (&__cx, &__request);
                        #(#reads)*
                        #(#extracts)*
                        #answer
                    },
                    #disconnect,
                ),
            };
        }
    }
}
