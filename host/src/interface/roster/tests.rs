//! Questions as they travel, and the order of connections.

use super::{super::connections::Connections, *};

#[test]
fn a_question_of_another_release_is_not_understood_rather_than_half_understood() {
    let of = Selection { user: Some("ann".to_owned()), ..Selection::default() };
    let close = ClientClose { code: 4001, reason: "bye".to_owned() };
    let question = Question::Close { of, connection: None, close };
    assert_eq!(Question::open(&question.seal()).unwrap(), question);
    // A filter more would close fewer connections: passing over it would close too many.
    let later = r#"{"close":{"of":{"user":"ann","country":"de"},"connection":null,
        "close":{"code":4001,"reason":"bye"}}}"#;
    for unknown in [later, r#"{"mute":{}}"#, "", "[]"] {
        assert!(Question::open(unknown.as_bytes()).is_err(), "{unknown}");
    }
}

#[test]
fn shards_are_in_the_order_of_the_names_in_them() {
    let connections = Connections::default();
    let mut names: Vec<_> = (0..1_000).map(|_| LocalName::random()).collect();
    names.sort();
    let shards: Vec<_> = names.iter().map(|name| connections.shard_of(name.as_str())).collect();
    assert!(shards.is_sorted(), "{shards:?}");
    assert_eq!(shards.first().zip(shards.last()), Some((&0, &(connections.shards() - 1))));
    for strange in ["", "x", "zz", "é"] {
        assert!(connections.shard_of(strange) < connections.shards());
    }
}
