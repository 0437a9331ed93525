//! `data` against a host that serves.

use tests::example;

use super::live::{Asked, path};

#[tokio::test(flavor = "multi_thread")]
async fn data_is_shown_and_changed() {
    let asked = Asked::serve().await;
    assert_eq!(asked.tidegate(&["deploy", "hello", path(&example("hello"))]).await.0, 0);
    for (arguments, expected) in [
        (&["set", "hello", "a b", "-3"][..], "hello: a b is set\n"),
        (&["get", "hello", "a b"], "-3\n"),
        (&["set", "hello", "b", r#"{"n": [1]}"#, "--schema", "2"], "hello: b is set\n"),
        (&["get", "hello", "b"], "{\"n\":[1]}\n"),
        (
            &["get", "hello", "b", "--json"],
            "{\"key\":\"b\",\"schema\":2,\"base64\":\"gaFukQE=\",\"json\":{\"n\":[1]}}\n",
        ),
        (&["set", "hello", "c", "/w==", "--base64"], "hello: c is set\n"),
        (&["set", "hello", "d", "7", "--integer", "--ttl", "1h"], "hello: d is set\n"),
        (&["list", "hello", "--limit", "3"], "a b  -3\nb    {\"n\":[1]}\nc    /w==\n"),
        (&["list", "hello", "c", "--json"], "{\"key\":\"c\",\"schema\":0,\"base64\":\"/w==\"}\n"),
        (&["delete", "hello", "d"], "hello: d is deleted\n"),
        (
            &["usage", "hello"],
            "bytes                   22  of 1073741824\nkeys                    3   of 10000000\nmessages to be relayed  0   of 100000\n",
        ),
    ] {
        let said = asked.tidegate(&[&["data"], arguments].concat()).await;
        assert_eq!(said, (0, expected.to_owned()), "{arguments:?}");
    }
    for (arguments, status, expected) in [
        (&["get", "hello", "none"][..], 8, "has no value \"none\""),
        (&["get", "nobody", "a"], 8, "there is no module nobody"),
        (&["set", "hello", "a", "hello"], 3, "a text has quotes"),
        (&["set", "hello", "a", "1.5", "--integer"], 3, "it is not an integer"),
        (&["set", "hello", "a", "?", "--base64"], 3, "`base64` is not"),
        (&["set", "hello", "", "1"], 3, "at least 1 byte"),
        (&["list", "hello", "c", "--after", "b"], 3, "is not a cursor"),
    ] {
        let (code, said) = asked.tidegate(&[&["data"], arguments].concat()).await;
        assert_eq!(code, status, "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}
