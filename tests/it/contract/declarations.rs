//! Declarations of modules about their consumers: kept, or refused with the rule.

use std::sync::Arc;

use serde_json::{Value, json};
use tests::Host;
use tidegate::{
    message::{Content, ModuleName},
    registry::Version,
};

use super::handmade::{Declare, Handmade, declaring, wit};
use crate::{TIDEGATE, api::state};

fn bytes(value: &Value) -> Declare {
    Declare::Bytes(Content::from_json(value.as_object().unwrap()).unwrap().as_bytes().to_vec())
}

fn active(host: &Host) -> Arc<Version> {
    let modules = host.app().deployments().registry().snapshot();
    Arc::clone(modules.version(&ModuleName::parse("v").unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn declarations_are_kept_with_the_version_through_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let start = || Host::builder().data_dir(data.path()).compiler(TIDEGATE).start();
    let host = start().await;
    let declared = declaring(bytes(&json!({ "work": {} }))).build();
    host.admin().done("PUT", "modules/v", declared).await;
    assert!(active(&host).declarations.consumer("work").is_some());
    host.stop().await;

    let host = start().await;
    assert!(active(&host).declarations.consumer("work").is_some());
    // The next version declares nothing, since it has no such export.
    host.admin().done("PUT", "modules/v", Handmade::default().build()).await;
    assert!(active(&host).declarations.consumer("work").is_none());
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bindings_of_a_later_version_stand_beside_those_of_the_sdk() {
    let host = Host::builder().guest("declaring").start().await;
    let module = ModuleName::parse("declaring").unwrap();
    let modules = host.app().deployments().registry().snapshot();
    assert!(modules.version(&module).unwrap().declarations.consumer("run").is_some());
    assert_eq!(host.get("/declaring").await.text(), "declared");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn declarations_of_a_later_release_are_read_if_the_host_knows_the_keys() {
    let host = Host::builder().compiler(TIDEGATE).start().await;
    let later = Handmade {
        version: "0.1.2",
        packages: vec![wit("wit/0.1.1", "0.1.1", "0.1.3").into()],
        world: vec!["export tidegate:channels/declarations@0.1.3;"],
        declared_as: vec!["tidegate:channels/declarations@0.1.3#declare"],
        declare: Some(bytes(&json!({ "work": {} }))),
        ..Handmade::default()
    };
    host.admin().done("PUT", "modules/v", later.build()).await;
    assert!(active(&host).declarations.consumer("work").is_some());
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_or_unreadable_declarations_are_refused_and_the_version_before_stays() {
    // A loop meets the fuel before the deadline, however busy the machine is.
    let little = "[limits]\nfuel = 10_000_000";
    let host = Host::builder().compiler(TIDEGATE).set(little).start().await;
    let api = host.admin();
    api.done("PUT", "modules/v", declaring(bytes(&json!({}))).build()).await;
    let before = state(&api).await;
    for (declare, said) in [
        (
            bytes(&json!({ "work": { "guard": "user" } })),
            "it declares \"guard\" of consumer \"work\", and this host knows schedule, user, claims, \
             presence, history, resume; leave the key out, or deploy it to a host that knows it",
        ),
        (
            bytes(
                &json!({ "work": { "schedule": { "expression": "@daily", "zone": "Europe/Berln" } } }),
            ),
            "schedule of consumer \"work\" is not valid: \"Europe/Berln\" is no time zone of the IANA \
             database; did you mean Europe/Berlin?",
        ),
        (
            bytes(&json!({ "werk": {} })),
            "it declares something of consumer \"werk\", which its routes do not have; they have work",
        ),
        (
            bytes(&json!({ "work": true })),
            "what it declares of consumer \"work\" is malformed: the content is not a map",
        ),
        (Declare::Bytes(vec![0xc0]), "its declarations are malformed: the content is not a map"),
        (Declare::Bytes(Vec::new()), "its declarations are malformed: the content ends"),
        (Declare::Zeros(2 << 20), "its declarations have more than 1048576 bytes together"),
        (Declare::Loop, "its declarations could not be read: used "),
        (Declare::Trap, "its declarations could not be read: "),
    ] {
        let (status, code, detail) =
            api.refused("PUT", "modules/v", declaring(declare).build()).await;
        assert_eq!((status, &*code), (422, "declarations"), "{detail}");
        assert!(detail.contains(said), "{detail}");
        assert_eq!(state(&api).await, before);
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declaration_of_another_type_than_the_published_one_is_refused() {
    let host = Host::builder().compiler(TIDEGATE).start().await;
    let other = wit("wit/0.1.1", "0.1.1", "0.1.2").replace("list<u8>", "string");
    let other = Handmade {
        packages: vec![other.into()],
        world: vec!["export tidegate:channels/declarations@0.1.2;"],
        declared_as: vec!["tidegate:channels/declarations@0.1.2#declare"],
        declare: Some(bytes(&json!({ "work": {} }))),
        ..Handmade::default()
    };
    let (status, code, detail) = host.admin().refused("PUT", "modules/v", other.build()).await;
    assert_eq!((status, &*code), (422, "exports"), "{detail}");
    assert!(detail.contains("its exports do not fit this host"), "{detail}");
    host.stop().await;
}
