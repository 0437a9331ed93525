//! The token of the admin listener: made at the first start, readable by its owner only.

use std::{fmt, fs, io, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use hyper::{HeaderMap, header};
use subtle::ConstantTimeEq as _;

/// Its file in the data directory.
const FILE: &str = "admin-token";

/// The token of the API.
#[derive(Clone)]
pub struct AdminToken(String);

impl AdminToken {
    /// A token from a variable or argument. White space around it is not part of it: variables that are read
    /// from files often end with a line break.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Reads the token of a data directory.
    pub fn read(data_dir: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(data_dir.join(FILE))?;
        match text.trim() {
            "" => Err(io::Error::new(io::ErrorKind::InvalidData, "the file admin-token is empty")),
            token => Ok(Self(token.to_owned())),
        }
    }

    /// Reads the token, or makes one: 256 random bits.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        match Self::read(data_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(data_dir),
            other => other,
        }
    }

    fn create(data_dir: &Path) -> io::Result<Self> {
        let (high, low): (u128, u128) = (rand::random(), rand::random());
        // Whole before it has its name: another process may start at the same time.
        let beside = data_dir.join(format!("{FILE}.{}", std::process::id()));
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        let linked = writeln!(file, "{high:032x}{low:032x}")
            .and_then(|()| fs::hard_link(&beside, data_dir.join(FILE)));
        fs::remove_file(&beside)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Self::read(data_dir),
        }
    }

    /// Whether a request has it. Takes as long for a token that is nearly right.
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let given = given.and_then(|value| value.strip_prefix(b"Bearer "));
        given.is_some_and(|given| given.ct_eq(self.0.as_bytes()).into())
    }

    /// The value of the header field `authorization`.
    pub fn as_header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let token = AdminToken::open(directory.path()).unwrap();
        assert_eq!(AdminToken::open(directory.path()).unwrap().0, token.0);
        assert_eq!(token.0.len(), 64);
        let mode = fs::metadata(directory.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(!format!("{token:?}").contains(&token.0));
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = AdminToken::new(" secret\n");
        let has = |value: &str| {
            let value = header::HeaderValue::from_str(value).unwrap();
            token.is_in(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
        };
        assert!(has(&token.as_header()));
        for value in ["secret", "Bearer secre", "Bearer secret ", "Bearer ", "Basic secret", ""] {
            assert!(!has(value), "{value:?}");
        }
        assert!(!token.is_in(&HeaderMap::new()));
    }

    #[test]
    fn an_empty_file_is_no_token() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "\n").unwrap();
        assert!(AdminToken::open(directory.path()).is_err());
    }
}
