//! Paths of routes: `/chat/{room}`, `/files/{*rest}`.

use proc_macro2::{Ident, Span};
use syn::LitStr;

use crate::errors::Errors;

/// The names that a path captures, in order.
///
/// `path` is the part of `literal` that is the path.
pub(crate) fn params(path: &str, literal: &LitStr, errors: &mut Errors) -> Vec<Ident> {
    let span = literal.span();
    if !path.starts_with('/') {
        errors.push(span, format!("a path starts with `/`: write `/{path}`"));
        return Vec::new();
    }
    if path.contains(['?', '#']) {
        errors.push(span, "a path has no `?` or `#`: the query is read with `Request::query`");
        return Vec::new();
    }
    if path.contains(char::is_whitespace) {
        errors.push(span, "a path has no white space: write it as `%20`");
        return Vec::new();
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let mut names: Vec<Ident> = Vec::new();
    for (position, segment) in segments.iter().enumerate() {
        let Some(name) = captured(segment, span, errors) else { continue };
        if name.starts_with('*') && position + 1 < segments.len() {
            errors
                .push(span, format!("`{{{name}}}` takes the rest of the path: put it at the end"));
        }
        let name = name.trim_start_matches('*');
        match syn::parse_str::<Ident>(name) {
            Ok(_) if names.iter().any(|known| known == name) => {
                errors.push(span, format!("`{{{name}}}` stands twice in the path: rename one"));
            }
            Ok(_) => names.push(Ident::new(name, span)),
            Err(_) => errors.push(
                span,
                format!("`{{{name}}}` does not name a parameter: use a name as in `{{room}}`"),
            ),
        }
    }
    names
}

/// What stands between the braces of a segment, if it has any.
fn captured<'a>(segment: &'a str, span: Span, errors: &mut Errors) -> Option<&'a str> {
    let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    if let Some(inner) = inner
        && !inner.contains(['{', '}'])
    {
        return Some(inner);
    }
    if segment.contains(['{', '}']) {
        errors.push(
            span,
            format!(
                "`{{name}}` stands for a whole segment of the path, and `{segment}` is not one"
            ),
        );
    }
    None
}
