//! Gets a module from a registry.

use futures_util::StreamExt as _;
use oci_client::{RegistryOperation, errors::DigestError};
use tokio::time::timeout;

use super::{
    artifact,
    error::{RegistryError, chain, foreign},
    reference::Place,
    registry::{Registry, WHOLE_TIMEOUT},
};

/// A module from a registry.
#[derive(Debug)]
pub(crate) struct Pulled {
    /// Its file.
    pub(crate) wasm: Vec<u8>,
    /// The signature that was put beside it, a whole .minisig. It is not checked.
    pub(crate) signature: Option<String>,
    /// Its place by its digest.
    pub(crate) place: Place,
}

/// Gets a file of at most so many bytes, whose digest is that in the registry.
pub(crate) async fn pull(place: &Place, most: usize) -> Result<Pulled, RegistryError> {
    let registry = Registry::of(place)?;
    timeout(WHOLE_TIMEOUT, whole(place, &registry, most)).await.map_err(|_| {
        RegistryError::Away {
            place: place.clone(),
            reason: format!("it has not sent the file within {WHOLE_TIMEOUT:?}"),
        }
    })?
}

async fn whole(place: &Place, registry: &Registry, most: usize) -> Result<Pulled, RegistryError> {
    let Registry { client, auth } = registry;
    let failed = |error| RegistryError::of(place, registry.has_user(), error);
    registry.log_in(place, RegistryOperation::Pull).await?;
    let (manifest, digest) =
        client.pull_image_manifest(place.reference(), auth).await.map_err(failed)?;
    let place = place.at(&digest);
    let kind =
        |reason: String| RegistryError::Kind { place: place.clone(), reason: foreign(&reason) };
    let signature = artifact::check(&manifest).map_err(kind)?;
    let layer = manifest.layers.first().ok_or_else(|| kind("it has no layer".to_owned()))?;
    let too_large = || RegistryError::TooLarge { place: place.clone(), most: most as u64 };
    // The size is that of the manifest. The bytes are counted, too, since the registry may send others.
    let size = usize::try_from(layer.size).map_err(|_| kind("its size is negative".to_owned()))?;
    if size > most {
        return Err(too_large());
    }
    let mut blob = client.pull_blob_stream(place.reference(), layer).await.map_err(failed)?.stream;
    let mut wasm = Vec::new();
    while let Some(bytes) = blob.next().await {
        let bytes = bytes.map_err(|error| broken(&place, &error))?;
        if wasm.len() + bytes.len() > most {
            return Err(too_large());
        }
        wasm.extend_from_slice(&bytes);
    }
    Ok(Pulled { wasm, signature, place })
}

/// The end of a file before its end: the library checks its digest, or the network is gone.
fn broken(place: &Place, error: &std::io::Error) -> RegistryError {
    let (place, reason) = (place.clone(), foreign(&chain(error)));
    if error.get_ref().is_some_and(|cause| cause.is::<DigestError>()) {
        RegistryError::Digest { place, reason }
    } else {
        RegistryError::Away { place, reason }
    }
}
