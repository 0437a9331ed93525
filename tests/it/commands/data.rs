//! `data` against a host that serves.

use std::process::Stdio;

use tests::{example, must, native, root};
use tokio::io::AsyncWriteExt as _;

use super::live::{Asked, path};
use crate::TIDEGATE;

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
            "bytes                   19  of 1073741824\nkeys                    3   of 10000000\nmessages to be relayed  0   of 100000\n",
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

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_deleted_with_its_data_only_if_asked() {
    let asked = Asked::serve().await;
    assert_eq!(asked.tidegate(&["deploy", "hello", path(&example("hello"))]).await.0, 0);
    assert_eq!(asked.tidegate(&["data", "set", "hello", "a", "1"]).await.0, 0);
    let said = asked.tidegate(&["delete", "hello"]).await;
    assert_eq!(said, (0, "hello is deleted, its data stays\n".to_owned()));
    assert_eq!(asked.tidegate(&["data", "get", "hello", "a"]).await, (0, "1\n".to_owned()));
    let (status, said) = asked.tidegate(&["delete", "hello"]).await;
    assert!(status == 8 && said.contains("there is no module hello"), "{said}");
    // The data of a module that is gone already.
    let said = asked.tidegate(&["delete", "hello", "--delete-data"]).await;
    assert_eq!(said, (0, "hello is deleted, and so is its data\n".to_owned()));
    assert_eq!(asked.tidegate(&["data", "list", "hello"]).await.0, 8);
    assert_eq!(asked.tidegate(&["deploy", "hello", path(&example("hello"))]).await.0, 0);
    assert_eq!(asked.tidegate(&["data", "list", "hello"]).await, (0, String::new()));
    assert_eq!(asked.tidegate(&["data", "set", "hello", "a", "1"]).await.0, 0);
    assert_eq!(asked.tidegate(&["delete", "hello", "--delete-data"]).await.0, 0);
    let (status, said) = asked.tidegate(&["delete", "hello", "--delete-data"]).await;
    assert!(status == 8 && said.contains("there is no module hello"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_exported_and_imported() {
    let asked = Asked::serve().await;
    let import = async |name: &str, lines: &str| {
        let host = asked.flags();
        let mut arguments = vec!["data", "import", name];
        arguments.extend(host.iter().map(String::as_str));
        let mut command = native(&root(), TIDEGATE, &arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // A refusal ends the command before it has read all.
        drop(input.write_all(lines.as_bytes()).await);
        drop(input);
        let output = must("an import", child.wait_with_output()).await.unwrap();
        let told = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.code().unwrap(), String::from_utf8(told).unwrap())
    };
    let line = |number| format!("{{\"key\":\"n{number:05}\",\"schema\":1,\"integer\":{number}}}\n");
    let lines: String = (0..2_500).map(line).collect();
    let said = import("shop", &lines).await;
    assert_eq!(said, (0, "shop: 2500 lines are written\n".to_owned()));
    let (_, exported) = asked.tidegate(&["data", "export", "shop"]).await;
    assert_eq!(exported, lines);
    let (status, said) = import("shop", &format!("{lines}{{\"key\":\"a\"}}\n")).await;
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("line 2501: a value has one of"), "{said}");
    assert!(said.contains("lines 1 to 2000 are written"), "{said}");
    let (status, said) = asked.tidegate(&["data", "export", "nobody"]).await;
    assert!(status == 8 && said.contains("there is no module nobody"), "{said}");
}
