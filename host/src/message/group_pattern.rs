//! Patterns of groups in the declarations of a module.

use std::{fmt, str::FromStr};

use super::{GroupName, NameError};

/// Groups of a module, without its name and the dot in front.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupPattern {
    /// The one of that name.
    One(String),
    /// All whose names begin with this, which is empty or ends with a dot.
    Below(String),
}

/// Which rule a pattern of groups breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupPatternError {
    /// The star is somewhere else.
    #[error("`*` stands alone or behind the last dot, as in `room.*`")]
    Star,
    /// The rest is no name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl FromStr for GroupPattern {
    type Err = GroupPatternError;

    fn from_str(text: &str) -> Result<Self, GroupPatternError> {
        match text.strip_suffix('*') {
            Some(prefix) if prefix.is_empty() || prefix.ends_with('.') => {
                if !prefix.is_empty() {
                    GroupName::parse(prefix)?;
                }
                Ok(Self::Below(prefix.to_owned()))
            }
            Some(_) => Err(GroupPatternError::Star),
            None if text.contains('*') => Err(GroupPatternError::Star),
            None => {
                GroupName::parse(text)?;
                Ok(Self::One(text.to_owned()))
            }
        }
    }
}

impl fmt::Display for GroupPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => f.write_str(name),
            Self::Below(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl GroupPattern {
    /// Whether it means the group of that name, likewise without the module's part.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Below(prefix) => name.starts_with(prefix.as_str()),
        }
    }

    /// The more of a name it fixes, the earlier it is asked.
    pub(super) fn exactness(&self) -> usize {
        match self {
            Self::One(_) => usize::MAX,
            Self::Below(prefix) => prefix.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_ends_with_a_star_behind_a_dot() {
        for text in ["*", "a", "a.b", "a.*", "a.b.*"] {
            assert_eq!(text.parse::<GroupPattern>().unwrap().to_string(), text);
        }
        for text in ["a*", "*.a", "a.*.b", "**", "a.**"] {
            assert!(text.parse::<GroupPattern>().is_err(), "{text}");
        }
        assert!(matches!("a b".parse::<GroupPattern>(), Err(GroupPatternError::Name(_))));
        assert!(matches!(
            "".parse::<GroupPattern>(),
            Err(GroupPatternError::Name(NameError::Empty))
        ));
    }
}
