//! Requests for the data of modules.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{Method, body::Incoming};
use tokio::time::timeout;

use super::{
    ANSWER_TIMEOUT, AdminAddress, AdminClient, AskError, DEPLOY_TIMEOUT, DataEntry, DataPage,
    DataUsage, answers::Imported, encoded,
};
use crate::message::ModuleName;

impl AdminClient {
    /// The value below a key of a module.
    pub async fn data_value(&self, name: &ModuleName, key: &str) -> Result<DataEntry, AskError> {
        self.get(&value(name, key)).await
    }

    /// Writes a value: JSON as `PUT` of the admin API takes it.
    pub async fn set_data_value(
        &self,
        name: &ModuleName,
        key: &str,
        json: String,
    ) -> Result<(), AskError> {
        drop(self.send(Method::PUT, &value(name, key), json.into(), ANSWER_TIMEOUT).await?);
        Ok(())
    }

    /// Deletes a value.
    pub async fn delete_data_value(&self, name: &ModuleName, key: &str) -> Result<(), AskError> {
        drop(self.send(Method::DELETE, &value(name, key), Bytes::new(), ANSWER_TIMEOUT).await?);
        Ok(())
    }

    /// Some of the keys that begin with a prefix, at most so many, with their values.
    pub async fn data_page(
        &self,
        name: &ModuleName,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<DataPage, AskError> {
        let from = cursor.map(|cursor| format!("&cursor={}", encoded(cursor))).unwrap_or_default();
        let prefix = encoded(prefix);
        self.get(&format!("/api/v1/modules/{name}/data?limit={limit}&prefix={prefix}{from}")).await
    }

    /// How much a module keeps, and may keep.
    pub async fn data_usage(&self, name: &ModuleName) -> Result<DataUsage, AskError> {
        self.get(&format!("/api/v1/modules/{name}/data/usage")).await
    }

    /// All data of a module as it is at one moment: an object of JSON a line.
    pub async fn export_data(&self, name: &ModuleName) -> Result<DataExport, AskError> {
        let path = format!("/api/v1/modules/{name}/data/export");
        let response = self.send(Method::GET, &path, Bytes::new(), DEPLOY_TIMEOUT).await?;
        Ok(DataExport { address: self.address.clone(), body: response.into_body() })
    }

    /// Writes lines of an export, `before` of which were sent before. Returns how many were written.
    pub async fn import_data(
        &self,
        name: &ModuleName,
        before: u64,
        lines: Bytes,
    ) -> Result<u64, AskError> {
        let path = format!("/api/v1/modules/{name}/data/import?before={before}");
        let imported: Imported = self.answer(Method::POST, &path, lines, DEPLOY_TIMEOUT).await?;
        Ok(imported.lines)
    }
}

/// All data of a module, part by part.
#[derive(Debug)]
pub struct DataExport {
    address: AdminAddress,
    body: Incoming,
}

impl DataExport {
    /// Returns some more bytes of the lines, none at the end. An error says that the export is not whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>, AskError> {
        let address = || self.address.clone();
        loop {
            let frame = timeout(ANSWER_TIMEOUT, self.body.frame())
                .await
                .map_err(|_| AskError::Silent { address: address(), patience: ANSWER_TIMEOUT })?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|reason| AskError::Broken { address: address(), reason })?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

fn value(name: &ModuleName, key: &str) -> String {
    format!("/api/v1/modules/{name}/data/value?key={}", encoded(key))
}
