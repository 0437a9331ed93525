//! Puts a module into a registry.

use std::collections::BTreeMap;

use http::HeaderValue;
use oci_client::{
    RegistryOperation,
    client::{Config, ImageLayer},
    manifest::{OCI_IMAGE_MEDIA_TYPE, OciImageManifest},
};
use tokio::time::timeout;

use super::{
    artifact::{self, CONFIG, LAYER, SIGNATURE},
    error::RegistryError,
    reference::Place,
    registry::{Registry, WHOLE_TIMEOUT},
};

/// Puts a file, and its signature if there is one, into a registry. Returns the place by its digest.
pub(crate) async fn push(
    place: &Place,
    wasm: Vec<u8>,
    signature: Option<String>,
) -> Result<Place, RegistryError> {
    let kind = |reason| RegistryError::Kind { place: place.clone(), reason };
    let described = artifact::Config::of(&wasm).map_err(kind)?;
    let json = serde_json::to_vec(&described).map_err(|error| kind(error.to_string()))?;
    if place.reference().digest().is_some() {
        return Err(kind("a file is put to a tag, and its digest follows from it".to_owned()));
    }
    let config = Config::new(json, CONFIG.to_owned(), None);
    let layer = ImageLayer::new(wasm, LAYER.to_owned(), None);
    let mut annotations = BTreeMap::from([(
        "org.opencontainers.image.created".to_owned(),
        described.created().to_owned(),
    )]);
    annotations.extend(signature.map(|text| (SIGNATURE.to_owned(), text)));
    let manifest = OciImageManifest {
        media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
        ..OciImageManifest::build(std::slice::from_ref(&layer), &config, Some(annotations))
    };
    // The library would write the canonical form of JSON, which has line breaks in texts as they are.
    let body = serde_json::to_vec(&manifest).map_err(|error| kind(error.to_string()))?;
    let digest = artifact::digest(&body);
    let registry = Registry::of(place)?;
    let client = &registry.client;
    let failed = |error| RegistryError::of(place, registry.has_user(), error);
    let pushed = async {
        registry.log_in(place, RegistryOperation::Push).await?;
        let at = place.reference();
        for blob in [layer.data, config.data] {
            let digest = artifact::digest(&blob);
            client.push_blob(at, blob, &digest).await.map_err(failed)?;
        }
        let kind = HeaderValue::from_static(OCI_IMAGE_MEDIA_TYPE);
        client.push_manifest_raw(at, body, kind).await.map_err(failed)
    };
    let pushed = timeout(WHOLE_TIMEOUT, pushed).await.map_err(|_| RegistryError::Away {
        place: place.clone(),
        reason: format!("it has not taken the file within {WHOLE_TIMEOUT:?}"),
    })?;
    pushed.map_err(|error| match error {
        RegistryError::Missing { place } => RegistryError::NoRepository { place },
        error => error,
    })?;
    Ok(place.at(&digest))
}
