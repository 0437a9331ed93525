//! Modules that were built against another version of the contract.

use tests::{Host, guest};

use super::{state, versioned, wasip1::core_module};
use crate::TIDEGATE;

/// The same file, built against another version whose number is as long.
fn built_against(mut wasm: Vec<u8>, version: &str) -> Vec<u8> {
    let (published, other) = (b"@0.1.0", format!("@{version}"));
    for at in 0..wasm.len() {
        if let Some(place) = wasm.get_mut(at..at + published.len())
            && place == published
        {
            place.copy_from_slice(other.as_bytes());
        }
    }
    wasm
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_the_contract_is_refused_with_both_and_what_to_do() {
    let host = Host::builder().compiler(TIDEGATE).start().await;
    let api = host.admin();
    api.done("PUT", "modules/v", versioned("versioned", 1)).await;
    let before = state(&api).await;
    let component = std::fs::read(guest("scope")).unwrap();
    for (wasm, version) in [
        (&component, "0.0.9"),
        (&component, "0.2.0"),
        (&core_module(), "0.0.9"),
        (&core_module(), "0.2.0"),
    ] {
        let file = built_against(wasm.clone(), version);
        let (status, code, detail) = api.refused("PUT", "modules/v", file).await;
        assert_eq!((status, &*code), (422, "contract"), "{detail}");
        let said = format!(
            "built against tidegate:channels@{version}, and this host speaks \
             tidegate:channels@0.1.0; build it with a tidegate-sdk for 0.1.0, or deploy it to a \
             host that speaks {version}"
        );
        assert!(detail.contains(&said), "{detail}");
        assert_eq!(state(&api).await, before);
    }
    host.stop().await;
}
