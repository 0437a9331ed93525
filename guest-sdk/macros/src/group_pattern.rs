//! Patterns of groups in attributes. The host checks them once more.

use syn::LitStr;

pub(crate) fn check(pattern: &LitStr) -> syn::Result<()> {
    let text = pattern.value();
    let rest = text.strip_suffix('*').unwrap_or(&text);
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let stands = rest.len() == text.len() || rest.is_empty() || rest.ends_with('.');
    if text.is_empty() || !stands || !rest.bytes().all(is_name) {
        let message = "a pattern is the name of a group without the module's in front, or ends with `*` behind a dot";
        return Err(syn::Error::new(pattern.span(), message));
    }
    Ok(())
}
