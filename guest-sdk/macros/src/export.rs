//! `export! { hello, #[user] "/api" => { list, create }, #[schedule("@daily")] report }`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, LitStr, Path, Token};

use crate::access::Access;
use crate::errors::Errors;
use crate::history::History;
use crate::path;
use crate::presence::Presence;
use crate::resume::Resume;
use crate::schedule::Schedule;

/// What stands between commas.
enum Item {
    Consumer { declared: Vec<Attribute>, consumer: Path },
    Group { declared: Vec<Attribute>, prefix: LitStr, items: Items },
}

struct Items(Vec<Item>);

impl Parse for Items {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut items = Vec::new();
        while !input.is_empty() {
            let declared = Attribute::parse_outer(input)?;
            let item = if input.peek(LitStr) {
                let prefix = input.parse()?;
                input.parse::<Token![=>]>()?;
                let group;
                syn::braced!(group in input);
                Item::Group { declared, prefix, items: group.parse()? }
            } else {
                Item::Consumer { declared, consumer: Path::parse_mod_style(input)? }
            };
            let comma_needed = matches!(item, Item::Consumer { .. }) && !input.is_empty();
            items.push(item);
            if comma_needed || input.peek(Token![,]) {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(Self(items))
    }
}

/// A consumer, the prefix of its path, and what it declares.
struct Mounted {
    consumer: Path,
    prefix: String,
    access: Access,
    of_one: OfOne,
}

/// What stands before one consumer.
#[derive(Default)]
struct OfOne {
    schedule: Option<Schedule>,
    presence: Option<Presence>,
    histories: Vec<History>,
    resume: Option<Resume>,
}

impl Mounted {
    fn declares(&self) -> bool {
        let OfOne { schedule, presence, histories, resume } = &self.of_one;
        schedule.is_some()
            || presence.is_some()
            || !histories.is_empty()
            || resume.is_some()
            || !self.access.is_empty()
    }

    fn entry(&self) -> TokenStream {
        let Self { consumer, prefix, access, of_one } = self;
        let OfOne { schedule, presence, histories, resume } = of_one;
        let mut entry = quote_spanned! {name(consumer)=>
            ::tidegate_sdk::__private::mount(
                <#consumer as ::tidegate_sdk::__private::Consumer>::ENTRY,
                #prefix,
            )
        };
        let mut declare = |what: &str, value: TokenStream| {
            let what = Ident::new(what, name(consumer));
            entry = quote_spanned! {name(consumer)=>
                ::tidegate_sdk::__private::#what(#entry, #value)
            };
        };
        if let Some(schedule) = schedule {
            declare("schedule", quote!(#schedule));
        }
        if let Some(presence) = presence {
            declare("presence", quote!(#presence));
        }
        if !histories.is_empty() {
            declare("history", quote!(&[#(#histories),*]));
        }
        if let Some(resume) = resume {
            declare("resume", quote!(#resume));
        }
        if !access.is_empty() {
            declare("access", quote!(#access));
        }
        entry
    }
}

pub(crate) fn expand(input: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut mounted = Vec::new();
    match syn::parse2::<Items>(input.clone()) {
        Ok(Items(items)) if items.is_empty() => {
            let message = "export! needs at least one consumer: export! { hello }";
            errors.push(Span::call_site(), message);
        }
        Ok(items) => collect(items, ("", &Access::default()), &mut mounted, &mut errors),
        Err(error) => errors.push(
            error.span(),
            "export! takes the names of consumers, with commas between: export! { hello, Chat }; \
             under a prefix: export! { \"/api\" => { hello, Chat } }",
        ),
    }
    if mounted.is_empty() {
        return errors.finish(&TokenStream::new());
    }
    let entries = mounted.iter().map(Mounted::entry);
    // A host that knows no declarations refuses a module that exports some: only modules that need them do.
    let component = match mounted.iter().any(Mounted::declares) {
        true => quote!(::tidegate_sdk::__export_component!(declarations);),
        false => quote!(::tidegate_sdk::__export_component!();),
    };
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

        #component
    };
    errors.finish(&list)
}

/// Where the consumer's name stands, after its modules.
fn name(consumer: &Path) -> Span {
    consumer.segments.last().map_or_else(Span::call_site, |segment| segment.ident.span())
}

fn collect(
    Items(items): Items,
    (outer, around): (&str, &Access),
    mounted: &mut Vec<Mounted>,
    errors: &mut Errors,
) {
    for item in items {
        let mut access = around.clone();
        match item {
            Item::Consumer { declared, consumer } => {
                let of_one = declarations(&declared, &mut access, errors);
                mounted.push(Mounted { consumer, prefix: outer.to_owned(), access, of_one });
            }
            Item::Group { declared, prefix, items: Items(items) } => {
                let of_one = declarations(&declared, &mut access, errors);
                if of_one.schedule.is_some() {
                    errors.push(
                        prefix.span(),
                        "a schedule is of one consumer: write it before its name",
                    );
                }
                if of_one.presence.is_some() {
                    errors.push(
                        prefix.span(),
                        "presence is told to one consumer: write it before its name",
                    );
                }
                if !of_one.histories.is_empty() {
                    errors.push(
                        prefix.span(),
                        "a history is declared before the name of a consumer: no path has a part in it",
                    );
                }
                if of_one.resume.is_some() {
                    errors.push(
                        prefix.span(),
                        "the connections of one consumer are kept: write it before its name",
                    );
                }
                check_prefix(&prefix, errors);
                if items.is_empty() {
                    errors.push(prefix.span(), "nothing is under this prefix: list a consumer");
                }
                let inner = format!("{outer}{}", prefix.value());
                collect(Items(items), (&inner, &access), mounted, errors);
            }
        }
    }
}

/// Reads what stands before a consumer or a prefix, and returns what only a consumer has.
fn declarations(declared: &[Attribute], access: &mut Access, errors: &mut Errors) -> OfOne {
    let OfOne { mut schedule, mut presence, mut histories, mut resume } = OfOne::default();
    for attribute in declared {
        if access.take(attribute, errors) {
            continue;
        }
        if attribute.path().is_ident("history") {
            histories.extend(History::read(attribute, errors));
        } else if attribute.path().is_ident("resume") {
            if resume.is_some() {
                errors.at(attribute, "for how long its connections are kept is said already");
            }
            resume = Resume::read(attribute, errors);
        } else if attribute.path().is_ident("presence") {
            if presence.is_some() {
                errors.at(
                    attribute,
                    "what it hears of presence is said already: name all groups in one place",
                );
            }
            presence = Presence::read(attribute, errors);
        } else if !attribute.path().is_ident("schedule") {
            errors.at(
                attribute,
                "before a consumer in export! stands #[user], #[claims(role = \"admin\")], \
                 #[schedule(\"@daily\")], #[presence(\"room.*\")], #[history(\"room.*\")], \
                 #[resume(\"2m\")] or nothing",
            );
        } else if schedule.is_some() {
            errors.at(attribute, "a consumer has one schedule: let two channels do the same work");
        } else {
            schedule = Schedule::read(attribute, errors);
        }
    }
    OfOne { schedule, presence, histories, resume }
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
