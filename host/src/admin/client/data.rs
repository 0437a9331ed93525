//! Requests for the data of modules.

use bytes::Bytes;
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

use super::{ANSWER_TIMEOUT, AdminClient, AskError, DataEntry, DataPage, DataUsage};
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
}

fn value(name: &ModuleName, key: &str) -> String {
    format!("/api/v1/modules/{name}/data/value?key={}", encoded(key))
}

fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}
