//! The contract grows: modules of one version meet a host that speaks another.

mod declarations;
mod golden;
mod handmade;
mod versions;

/// The same file, built against another version whose number is as long as that of `published`.
fn built_against(mut wasm: Vec<u8>, version: &str) -> Vec<u8> {
    let (published, other) = (b"@0.1.0", format!("@{version}"));
    assert_eq!(published.len(), other.len(), "{version}");
    for at in 0..wasm.len() {
        if let Some(place) = wasm.get_mut(at..at + published.len())
            && place == published
        {
            place.copy_from_slice(other.as_bytes());
        }
    }
    wasm
}
