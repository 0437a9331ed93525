//! The page to look at the process with, at `/`. It asks the API for everything, so the page itself has no data and
//! needs no token.

use std::sync::LazyLock;

use bytes::Bytes;
use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

use super::api::{Answer, full};
use crate::engine::digest;

/// Code, styles and connections of this origin only. No frame of another page around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Kept, and asked for again each time: another release of the host has another page at the same path.
const CACHE: &str = "no-cache";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the page.
struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const ASSETS: [Asset; 15] = [
    Asset { path: "/", kind: "text/html; charset=utf-8", text: include_str!("index.html") },
    Asset {
        path: "/page/page.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("page.css"),
    },
    Asset { path: "/page/main.js", kind: SCRIPT, text: include_str!("main.js") },
    Asset { path: "/page/api.js", kind: SCRIPT, text: include_str!("api.js") },
    Asset { path: "/page/connections.js", kind: SCRIPT, text: include_str!("connections.js") },
    Asset { path: "/page/dialogs.js", kind: SCRIPT, text: include_str!("dialogs.js") },
    Asset { path: "/page/elements.js", kind: SCRIPT, text: include_str!("elements.js") },
    Asset { path: "/page/letters.js", kind: SCRIPT, text: include_str!("letters.js") },
    Asset { path: "/page/metrics.js", kind: SCRIPT, text: include_str!("metrics.js") },
    Asset { path: "/page/modules.js", kind: SCRIPT, text: include_str!("modules.js") },
    Asset { path: "/page/overview.js", kind: SCRIPT, text: include_str!("overview.js") },
    Asset { path: "/page/paging.js", kind: SCRIPT, text: include_str!("paging.js") },
    Asset { path: "/page/records.js", kind: SCRIPT, text: include_str!("records.js") },
    Asset { path: "/page/routes.js", kind: SCRIPT, text: include_str!("routes.js") },
    Asset { path: "/page/tokens.js", kind: SCRIPT, text: include_str!("tokens.js") },
];

/// The entity tags of the assets, in their order.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| ASSETS.iter().map(Asset::tag).collect());

impl Asset {
    /// The digest of its text.
    fn tag(&self) -> String {
        format!("\"{}\"", digest(self.text.as_bytes()))
    }
}

/// Answers a request for a file of the page. None if no file has the path.
pub(super) fn answer(path: &str, headers: &HeaderMap) -> Option<Answer> {
    let (asset, tag) = ASSETS.iter().zip(TAGS.iter()).find(|(asset, _)| asset.path == path)?;
    let mut answer = if has(headers, tag) {
        full(StatusCode::NOT_MODIFIED, asset.kind, Bytes::new())
    } else {
        full(StatusCode::OK, asset.kind, Bytes::from_static(asset.text.as_bytes()))
    };
    let fields: [(HeaderName, &'static str); 3] = [
        (header::CACHE_CONTROL, CACHE),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fields {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(tag) {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    Some(answer)
}

/// Whether a client has the asset with a tag already.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).into_iter();
    given.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|given| {
        let given = given.trim();
        given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Fault;

    #[test]
    fn no_file_reads_markup_from_a_string_or_has_code_inline() {
        for Asset { path, text, .. } in ASSETS {
            for form in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "DOMParser",
                "createContextualFragment",
                "srcdoc",
                "eval(",
                "new Function",
                "localStorage",
                "sessionStorage",
                "document.cookie",
                "indexedDB",
                " style=",
                " onclick=",
                "<style",
                "https://",
            ] {
                assert!(!text.contains(form), "{path} has {form}");
            }
        }
    }

    #[test]
    fn each_file_that_another_one_names_is_served() {
        let served: Vec<_> = ASSETS.iter().map(|asset| asset.path).collect();
        for Asset { path, text, .. } in ASSETS {
            let imports = text.split(" from \"./").skip(1);
            let linked = text.split("=\"page/").skip(1);
            for named in imports.chain(linked).map(|rest| rest.split('"').next().unwrap()) {
                let named = format!("/page/{named}");
                assert!(served.contains(&&*named), "{path} names {named}");
            }
        }
    }

    #[test]
    fn the_filter_of_records_has_all_kinds_of_faults() {
        let kinds: String = Fault::KINDS.iter().map(|kind| format!("  \"{kind}\",\n")).collect();
        let list = format!("const FAULTS = [\n{kinds}];");
        assert!(include_str!("records.js").contains(&list), "records.js lacks {list}");
    }

    #[test]
    fn a_tag_is_found_in_each_form_that_a_client_may_send() {
        let tag = ASSETS.first().unwrap().tag();
        let asked = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            has(&HeaderMap::from_iter([(header::IF_NONE_MATCH, value)]), &tag)
        };
        assert!(asked(&tag) && asked(&format!("W/{tag}")) && asked(&format!("\"a\", {tag}")));
        assert!(asked("*"));
        assert!(!asked("\"a\"") && !asked("") && !has(&HeaderMap::new(), &tag));
    }
}
