//! `export! { hello, "/api" => { list, create } }`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{LitStr, Path, Token};

use crate::errors::Errors;
use crate::path;

/// What stands between commas.
enum Item {
    Consumer(Path),
    Group { prefix: LitStr, items: Items },
}

struct Items(Vec<Item>);

impl Parse for Items {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut items = Vec::new();
        while !input.is_empty() {
            let item = if input.peek(LitStr) {
                let prefix = input.parse()?;
                input.parse::<Token![=>]>()?;
                let group;
                syn::braced!(group in input);
                Item::Group { prefix, items: group.parse()? }
            } else {
                Item::Consumer(Path::parse_mod_style(input)?)
            };
            let comma_needed = matches!(item, Item::Consumer(_)) && !input.is_empty();
            items.push(item);
            if comma_needed || input.peek(Token![,]) {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(Self(items))
    }
}

/// A consumer and the prefix of its path.
struct Mounted {
    consumer: Path,
    prefix: String,
}

pub(crate) fn expand(input: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut mounted = Vec::new();
    match syn::parse2::<Items>(input.clone()) {
        Ok(Items(items)) if items.is_empty() => {
            let message = "export! needs at least one consumer: export! { hello }";
            errors.push(Span::call_site(), message);
        }
        Ok(items) => collect(items, "", &mut mounted, &mut errors),
        Err(error) => errors.push(
            error.span(),
            "export! takes the names of consumers, with commas between: export! { hello, Chat }; \
             under a prefix: export! { \"/api\" => { hello, Chat } }",
        ),
    }
    if mounted.is_empty() {
        return errors.finish(&TokenStream::new());
    }
    let entries = mounted.iter().map(|Mounted { consumer, prefix }| {
        quote_spanned! {name(consumer)=>
            ::tidegate_sdk::__private::mount(
                <#consumer as ::tidegate_sdk::__private::Consumer>::ENTRY,
                #prefix,
            )
        }
    });
    // Each at its consumer, so that a conflict is reported there. With a wrong prefix, what is in
    // conflict means nothing.
    let checks = mounted.iter().enumerate().filter(|_| errors.is_empty());
    let checks = checks.map(|(position, Mounted { consumer, .. })| {
        quote_spanned! {name(consumer)=>
            const _: () = ::tidegate_sdk::__private::check(ENTRIES, #position);
        }
    });
    let list = quote! {
        /// The consumers of this module, for `tidegate_sdk::testing::TestHost`.
        #[must_use]
        pub fn consumers() -> ::tidegate_sdk::Consumers {
            const ENTRIES: &[::tidegate_sdk::__private::Entry] = &[#(#entries),*];
            #(#checks)*
            ::tidegate_sdk::Consumers::new(ENTRIES)
        }

        ::tidegate_sdk::__export_component!();
    };
    errors.finish(&list)
}

/// Where the consumer's name stands, after its modules.
fn name(consumer: &Path) -> Span {
    consumer.segments.last().map_or_else(Span::call_site, |segment| segment.ident.span())
}

fn collect(Items(items): Items, outer: &str, mounted: &mut Vec<Mounted>, errors: &mut Errors) {
    for item in items {
        match item {
            Item::Consumer(consumer) => {
                mounted.push(Mounted { consumer, prefix: outer.to_owned() });
            }
            Item::Group { prefix, items: Items(items) } => {
                check_prefix(&prefix, errors);
                if items.is_empty() {
                    errors.push(prefix.span(), "nothing is under this prefix: list a consumer");
                }
                let inner = format!("{outer}{}", prefix.value());
                collect(Items(items), &inner, mounted, errors);
            }
        }
    }
}

fn check_prefix(literal: &LitStr, errors: &mut Errors) {
    let text = literal.value();
    let bare = text.trim_end_matches('/');
    let message = if bare.is_empty() {
        format!("\"{text}\" puts nothing before a path: list the consumers without it")
    } else if text.contains(['{', '}']) {
        "a prefix has no parameters: write them in the paths of the consumers".to_owned()
    } else if bare != text {
        format!("a prefix does not end with `/`: write \"{bare}\"")
    } else {
        path::params(&text, literal, errors);
        return;
    };
    errors.push(literal.span(), message);
}
