//! The compact form of a signed token (RFC 7515, section 7.1), and what its header may say.

use serde_json::{Map, Value};

use super::{
    TokenError,
    algorithm::Algorithm,
    json::{self, JsonError},
    key::decode,
};

/// The longest token, in bytes. Browsers and proxies bound a header field at about this.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// A token in its parts. Nothing of it is verified.
pub(super) struct Parts<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// The text that the signature is of.
    pub(super) signed: &'a str,
    /// Not decoded: it is not looked at before the signature is.
    payload: &'a str,
    pub(super) signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    /// Splits a token and reads its header.
    pub(super) fn of(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Size);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Form)?;
        if header.is_empty() || payload.is_empty() || payload.contains('.') {
            return Err(TokenError::Form);
        }
        let signature = decode(signature.as_bytes()).ok_or(TokenError::Form)?;
        let header = object(header)?;
        // Whoever marks something as critical wants it refused where it is not understood.
        if header.contains_key("crit") {
            return Err(TokenError::Critical);
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::of);
        let algorithm = algorithm.ok_or(TokenError::Algorithm)?;
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(TokenError::Form),
        };
        if signature.is_empty() {
            return Err(TokenError::Signature);
        }
        Ok(Self { algorithm, key_id, signed, payload, signature })
    }

    /// The claims. To be read when the signature is verified.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, TokenError> {
        object(self.payload)
    }
}

fn object(part: &str) -> Result<Map<String, Value>, TokenError> {
    let bytes = decode(part.as_bytes()).ok_or(TokenError::Form)?;
    json::object(&bytes).map_err(|error| match error {
        JsonError::Duplicate => TokenError::Duplicate,
        JsonError::NotAnObject => TokenError::Form,
    })
}
