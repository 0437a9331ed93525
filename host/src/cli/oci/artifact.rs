//! The layout of a module in a registry.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use oci_client::manifest::OciImageManifest;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{engine::Interfaces, registry::SIGNATURE_BYTES_MAX};

/// The media type of the layer.
pub(super) const LAYER: &str = "application/wasm";
/// The media type of the description.
pub(super) const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// Another version of it, which some tools write.
const CONFIG_V1: &str = "application/vnd.wasm.config.v1+json";
/// The annotation of the manifest with the signature of the file, a whole .minisig.
pub(super) const SIGNATURE: &str = "dev.tidegate.minisig";

/// The description of a module, beside its layer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config {
    created: String,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [String; 1],
    component: Interfaces,
}

impl Config {
    /// Describes a file. An error says why it is no component.
    pub(super) fn of(wasm: &[u8]) -> Result<Self, String> {
        let component = Interfaces::of(wasm)?;
        Ok(Self {
            created: humantime::format_rfc3339_seconds(SystemTime::now().max(UNIX_EPOCH))
                .to_string(),
            architecture: "wasm",
            os: "wasip2",
            layer_digests: [digest(wasm)],
            component,
        })
    }

    pub(super) fn created(&self) -> &str {
        &self.created
    }
}

/// The digest of bytes, as registries write it.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)))
}

/// Returns the signature in a manifest, or why it is not that of a module.
pub(super) fn check(manifest: &OciImageManifest) -> Result<Option<String>, String> {
    let config = &manifest.config.media_type;
    if config != CONFIG && config != CONFIG_V1 {
        return Err(format!("its config has the media type {config:?}, and not {CONFIG:?}"));
    }
    match &*manifest.layers {
        [layer] if layer.media_type == LAYER => {}
        [layer] => {
            return Err(format!(
                "its layer has the media type {:?}, and not {LAYER:?}",
                layer.media_type
            ));
        }
        layers => return Err(format!("it has {} layers, and not 1", layers.len())),
    }
    // The library would look there, too, whoever answers.
    if manifest.layers.iter().any(|layer| layer.urls.is_some()) {
        return Err(
            "its layer says that it is elsewhere (`urls`), and no other place is asked".to_owned()
        );
    }
    let annotations = manifest.annotations.as_ref();
    let signature = annotations.and_then(|all: &BTreeMap<_, _>| all.get(SIGNATURE));
    match signature.filter(|text| text.len() > SIGNATURE_BYTES_MAX) {
        Some(text) => Err(format!(
            "its signature has {} bytes, and no .minisig has more than {SIGNATURE_BYTES_MAX}",
            text.len()
        )),
        None => Ok(signature.cloned()),
    }
}

#[cfg(test)]
mod tests {
    use oci_client::manifest::OciDescriptor;

    use super::*;

    fn manifest(config: &str, layers: &[&str]) -> OciImageManifest {
        let of = |media_type: &str| OciDescriptor {
            media_type: media_type.to_owned(),
            ..OciDescriptor::default()
        };
        OciImageManifest {
            config: of(config),
            layers: layers.iter().map(|it| of(it)).collect(),
            ..OciImageManifest::default()
        }
    }

    #[test]
    fn a_module_has_one_layer_and_either_version_of_its_config() {
        for config in [CONFIG, CONFIG_V1] {
            assert_eq!(check(&manifest(config, &[LAYER])), Ok(None));
        }
        for wrong in [
            manifest("application/vnd.oci.image.config.v1+json", &[LAYER]),
            manifest(CONFIG, &[]),
            manifest(CONFIG, &[LAYER, LAYER]),
            manifest(CONFIG, &["application/vnd.oci.image.layer.v1.tar+gzip"]),
        ] {
            assert!(check(&wrong).is_err(), "{wrong:?}");
        }
        let mut elsewhere = manifest(CONFIG, &[LAYER]);
        elsewhere.layers[0].urls = Some(vec!["http://10.0.0.1/layer".to_owned()]);
        assert!(check(&elsewhere).is_err());
        let large = BTreeMap::from([(SIGNATURE.to_owned(), "s".repeat(SIGNATURE_BYTES_MAX + 1))]);
        let large = OciImageManifest { annotations: Some(large), ..manifest(CONFIG, &[LAYER]) };
        assert!(check(&large).is_err());
        let signed = BTreeMap::from([(SIGNATURE.to_owned(), "signed".to_owned())]);
        let signed = OciImageManifest { annotations: Some(signed), ..manifest(CONFIG, &[LAYER]) };
        assert_eq!(check(&signed), Ok(Some("signed".to_owned())));
    }
}
