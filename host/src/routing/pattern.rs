//! The path of a route: literal segments, `{name}` for one segment, `{*name}` for the rest.

use std::{collections::HashSet, fmt};

use super::path::canonical;

/// Which rule a route's path breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The path is relative.
    #[error("a path starts with `/`")]
    NotAbsolute,
    /// There is a brace that is not around a whole segment.
    #[error("`{0}` mixes braces and text; a parameter is a whole segment, such as `/{{name}}/`")]
    Braces(String),
    /// A parameter's name is not an identifier.
    #[error(
        "`{0}` is not a valid parameter name; use letters, digits and `_`, not starting with a digit"
    )]
    ParameterName(String),
    /// Two parameters have one name.
    #[error("the parameter `{0}` is there twice; give each its own name")]
    DuplicateParameter(String),
    /// A `{*name}` is followed by something.
    #[error("`{{*{0}}}` takes the rest of the path; it stands at the end")]
    CatchAllNotLast(String),
    /// The path has a query or a fragment.
    #[error("a path has no `?` or `#`; the query does not take part in routing")]
    QueryOrFragment,
    /// An escape that is no text.
    #[error("`{0}` is not UTF-8 after percent-decoding")]
    Escape(String),
}

/// A checked path of a route.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// Checks a path.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let rest = text.strip_prefix('/').ok_or(PatternError::NotAbsolute)?;
        if text.contains(['?', '#']) {
            return Err(PatternError::QueryOrFragment);
        }
        let mut seen = HashSet::new();
        let mut path = String::new();
        let mut segments = rest.split('/').peekable();
        while let Some(segment) = segments.next() {
            path.push('/');
            let parameter = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
            let Some(inner) = parameter else {
                if segment.contains(['{', '}']) {
                    return Err(PatternError::Braces(segment.to_owned()));
                }
                let literal =
                    canonical(segment).map_err(|_| PatternError::Escape(segment.to_owned()))?;
                path.push_str(&literal);
                continue;
            };
            let name = inner.strip_prefix('*').unwrap_or(inner);
            if !is_identifier(name) {
                return Err(PatternError::ParameterName(name.to_owned()));
            }
            if !seen.insert(name) {
                return Err(PatternError::DuplicateParameter(name.to_owned()));
            }
            if inner.starts_with('*') && segments.peek().is_some() {
                return Err(PatternError::CatchAllNotLast(name.to_owned()));
            }
            path.push_str(segment);
        }
        Ok(Self(path))
    }

    /// The path, its literal segments in canonical form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_path_names_its_rule() {
        use PatternError::*;
        let table = [
            ("", NotAbsolute),
            ("chat", NotAbsolute),
            ("/a{b}", Braces("a{b}".into())),
            ("/{a", Braces("{a".into())),
            ("/a}/b", Braces("a}".into())),
            ("/{}", ParameterName(String::new())),
            ("/{1a}", ParameterName("1a".into())),
            ("/{a-b}", ParameterName("a-b".into())),
            ("/{*}", ParameterName(String::new())),
            ("/{a}/{a}", DuplicateParameter("a".into())),
            ("/{*a}/b", CatchAllNotLast("a".into())),
            ("/a?b", QueryOrFragment),
            ("/a%ff", Escape("a%ff".into())),
        ];
        for (text, error) in table {
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_literal_is_kept_in_canonical_form() {
        let path = |text| Pattern::parse(text).unwrap().as_str().to_owned();
        assert_eq!(path("/"), "/");
        assert_eq!(path("/café/{name}"), "/caf%C3%A9/{name}");
        assert_eq!(path("/files/{*rest}"), "/files/{*rest}");
    }
}
