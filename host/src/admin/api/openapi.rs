//! The OpenAPI document of the API, made of what answers it.

use std::sync::LazyLock;

use bytes::Bytes;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};

use super::{look, modules, problem::Problem, settings, stream};

#[derive(OpenApi)]
#[openapi(
    info(title = "Tidegate admin API", version = "1", license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")),
    paths(
        modules::list, modules::show, modules::deploy, modules::delete, modules::delete_version,
        modules::activate, modules::rollback, modules::routes, settings::get, settings::set,
        look::records, stream::records, look::layer, look::nodes, look::drain, document,
    ),
    components(schemas(Problem)),
    modifiers(&Common),
)]
struct Document;

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "process", security(()), responses(
    (status = 200, description = "The document", body = Object),
))]
pub(super) fn document() -> Bytes {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
        let text = Document::openapi().to_json();
        text.expect("the document is JSON").into()
    });
    TEXT.clone()
}

/// What all operations but one have in common.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        document.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>("token", [])]);
    }
}
