//! Who may connect to a Unix socket: the mode and the owner of its file.

use std::{
    io,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    str::FromStr,
};

/// Mode and owner of a Unix socket's file. Where one is missing the system decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnixAccess {
    /// Permissions.
    pub mode: Option<UnixMode>,
    /// Owner.
    pub owner: UnixOwner,
}

/// Permissions of a file, written as for chmod(1) in octal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixMode(u32);

/// Owner of a file, written as for chown(1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnixOwner {
    user: Option<u32>,
    group: Option<u32>,
}

/// A text that is not a mode or an owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnixAccessError {
    /// Not a mode.
    #[error("{0:?} is not a mode; write octal digits such as \"0660\"")]
    Mode(String),
    /// Not an owner.
    #[error(
        "{0:?} is not an owner; write \"user\", \"user:group\" or \":group\", by name or number"
    )]
    Owner(String),
    /// An owner that the system does not know.
    #[error("the system has no {kind} {name:?}; `getent {database}` lists them")]
    Unknown {
        /// User or group.
        kind: &'static str,
        /// The name.
        name: String,
        /// Where the system looks.
        database: &'static str,
    },
}

impl UnixAccess {
    /// Applies what is set to the file of a socket.
    pub(super) fn apply(self, path: &Path) -> io::Result<()> {
        if let Some(UnixMode(mode)) = self.mode {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        }
        let UnixOwner { user, group } = self.owner;
        if user.is_some() || group.is_some() {
            chown(path, user, group)?;
        }
        Ok(())
    }
}

impl FromStr for UnixMode {
    type Err = UnixAccessError;

    fn from_str(text: &str) -> Result<Self, UnixAccessError> {
        let is_octal = (3..=4).contains(&text.len()) && text.chars().all(|c| c.is_digit(8));
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
        mode.map(Self).ok_or_else(|| UnixAccessError::Mode(text.to_owned()))
    }
}

impl FromStr for UnixOwner {
    type Err = UnixAccessError;

    fn from_str(text: &str) -> Result<Self, UnixAccessError> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        if (user.is_empty() && group.is_empty()) || group.contains(':') {
            return Err(UnixAccessError::Owner(text.to_owned()));
        }
        let by_name = |name: &str| uzers::get_user_by_name(name).map(|user| user.uid());
        let user = id(user, ("user", "passwd"), by_name)?;
        let by_name = |name: &str| uzers::get_group_by_name(name).map(|group| group.gid());
        Ok(Self { user, group: id(group, ("group", "group"), by_name)? })
    }
}

fn id(
    name: &str,
    (kind, database): (&'static str, &'static str),
    by_name: impl Fn(&str) -> Option<u32>,
) -> Result<Option<u32>, UnixAccessError> {
    if name.is_empty() {
        return Ok(None);
    }
    let id = name.parse().ok().or_else(|| by_name(name));
    let unknown = || UnixAccessError::Unknown { kind, name: name.to_owned(), database };
    id.map(Some).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_digits() {
        assert_eq!("0660".parse(), Ok(UnixMode(0o660)));
        assert_eq!("600".parse(), Ok(UnixMode(0o600)));
        for text in ["", "66", "rw-rw----", "0888", "1777", "0o660", "-660", "00660"] {
            let error = text.parse::<UnixMode>().unwrap_err().to_string();
            assert!(error.contains("0660"), "{text}: {error}");
        }
    }

    #[test]
    fn owners_are_names_or_numbers_of_users_and_groups() {
        let owner = |user, group| Ok(UnixOwner { user, group });
        assert_eq!("root".parse(), owner(Some(0), None));
        assert_eq!("root:0".parse(), owner(Some(0), Some(0)));
        assert_eq!(":33".parse(), owner(None, Some(33)));
        for text in ["", ":", "a:b:c", "nobody-has-this-name", "0:nobody-has-this-name"] {
            assert!(text.parse::<UnixOwner>().is_err(), "{text}");
        }
    }
}
