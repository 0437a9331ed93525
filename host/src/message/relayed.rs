//! Messages that are stored with a commit of data, until the relay has sent them.

use std::time::{Duration, SystemTime};

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{Content, ContentError, CorrelationId, Message, MessageId, Payload};

/// The version of the form.
const VERSION: u8 = 1;
/// Bytes before the content: version, process, milliseconds since 1970, id, correlation.
const HEADER: usize = 1 + 8 + 8 + 16 + 16;

/// Says which process stored a message. Random for each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessTag(u64);

impl ProcessTag {
    /// A tag for this process.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

/// A stored message.
#[derive(Clone, Debug, PartialEq)]
pub struct Relayed {
    /// The process that stored it, which relays it as long as it lives.
    pub process: ProcessTag,
    /// When it was stored, by the clock of that process.
    pub stored: SystemTime,
    /// The message.
    pub message: Message,
}

/// Bytes that are not a stored message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayedError {
    /// Another release wrote them.
    #[error("it is of version {0}; this host reads {VERSION}")]
    Version(u8),
    /// They are too few.
    #[error("it ends too early")]
    Short,
    /// The content breaks a rule.
    #[error(transparent)]
    Content(#[from] ContentError),
}

/// Writes a message of a run as it stands in the store. The process relays it; none: whoever finds it first.
pub fn seal(process: Option<ProcessTag>, correlation: CorrelationId, content: &Content) -> Bytes {
    seal_as(MessageId::random(), process, correlation, content)
}

/// The same of a message that has an id already.
pub fn seal_as(
    id: MessageId,
    process: Option<ProcessTag>,
    correlation: CorrelationId,
    content: &Content,
) -> Bytes {
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (process, stored) = match process {
        Some(process) => (process, now()),
        None => (ProcessTag(0), Duration::ZERO),
    };
    let content = content.as_bytes();
    let mut sealed = BytesMut::with_capacity(HEADER + content.len());
    sealed.put_u8(VERSION);
    sealed.put_u64(process.0);
    sealed.put_u64(u64::try_from(stored.as_millis()).unwrap_or(u64::MAX));
    sealed.put_u128(id.0);
    sealed.put_u128(correlation.0);
    sealed.put_slice(content);
    sealed.freeze()
}

impl Relayed {
    /// Reads a stored message.
    pub fn open(sealed: &Bytes) -> Result<Self, RelayedError> {
        let (version, rest) = sealed.split_first().ok_or(RelayedError::Short)?;
        if *version != VERSION {
            return Err(RelayedError::Version(*version));
        }
        let (process, rest) = rest.split_first_chunk().ok_or(RelayedError::Short)?;
        let (stored, rest) = rest.split_first_chunk().ok_or(RelayedError::Short)?;
        let (id, rest) = rest.split_first_chunk().ok_or(RelayedError::Short)?;
        let (correlation, _) = rest.split_first_chunk().ok_or(RelayedError::Short)?;
        let stored = Duration::from_millis(u64::from_be_bytes(*stored));
        Ok(Self {
            process: ProcessTag(u64::from_be_bytes(*process)),
            stored: SystemTime::UNIX_EPOCH.checked_add(stored).unwrap_or(SystemTime::UNIX_EPOCH),
            message: Message {
                payload: Payload::Custom(Content::parse(sealed.slice(HEADER..))?),
                correlation: CorrelationId(u128::from_be_bytes(*correlation)),
                id: Some(MessageId(u128::from_be_bytes(*id))),
                // The form has no room for it that older processes pass over.
                trace: None,
                expires_after: None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_message_reads_back_with_an_id_of_its_own() {
        let content = Content::parse(Bytes::from_static(&[0x81, 0xa1, b'a', 1])).unwrap();
        let (process, correlation) = (ProcessTag::random(), CorrelationId::random());
        let [one, other] = [0, 1].map(|_| {
            let read = Relayed::open(&seal(Some(process), correlation, &content)).unwrap();
            assert_eq!((read.process, read.message.correlation), (process, correlation));
            assert_eq!(read.message.payload, Payload::Custom(content.clone()));
            read.message.id
        });
        assert!(one.is_some() && one != other);
    }

    #[test]
    fn what_is_no_stored_message_is_refused() {
        for (sealed, error) in [
            (&b""[..], RelayedError::Short),
            (b"\x02", RelayedError::Version(2)),
            (b"\x01abc", RelayedError::Short),
        ] {
            assert_eq!(Relayed::open(&Bytes::copy_from_slice(sealed)), Err(error));
        }
        let content = [&[1][..], &[0; HEADER - 1], b"no map"].concat();
        assert!(matches!(Relayed::open(&content.into()), Err(RelayedError::Content(_))));
    }
}
