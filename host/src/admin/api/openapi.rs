//! The OpenAPI document of the API, generated from its handlers and types.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};

use super::{
    connections, data, dead_letters, members, messages, modules, operations::resolve,
    problem::Problem, read, settings, stream, timers, tokens,
};

/// Names of modules.
const NAME: &str = "^[a-z0-9-]{1,63}$";
/// Names of channels and groups; a reply channel has a `!` besides.
const CHANNEL: &str = "^[a-zA-Z0-9._-]{1,99}$";
/// Reply channels.
const REPLY_CHANNEL: &str = "^[a-zA-Z0-9._-]{1,49}![a-zA-Z0-9._-]{1,49}$";
/// The schema of problems in the document.
const PROBLEM: &str = "#/components/schemas/Problem";

#[derive(OpenApi)]
#[openapi(
    info(title = "Tidegate admin API", version = "1", license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")),
    paths(
        modules::list, modules::show, modules::deploy, modules::delete, modules::delete_version,
        modules::activate, modules::rollback, modules::routes, settings::get, settings::set,
        settings::patch, data::list, data::usage, data::get, data::set, data::delete, data::export,
        data::import, messages::send, messages::group_send, members::list, timers::list, timers::cancel,
        connections::list, connections::show, connections::close_one, connections::close,
        dead_letters::channels, dead_letters::list, dead_letters::show, dead_letters::run,
        dead_letters::drop_one, dead_letters::run_all, dead_letters::drop_all,
        read::records, stream::records, read::layer, read::nodes, read::drain,
        tokens::own, tokens::list, tokens::create, tokens::revoke, document,
    ),
    components(schemas(Problem)),
    modifiers(&Token),
)]
struct Document;

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "process", security(()), responses(
    (status = 200, description = "The document", body = Object),
))]
pub(super) fn document() -> Bytes {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
        let mut document = serde_json::to_value(Document::openapi()).expect("it is JSON");
        complete(&mut document);
        without_signs(&mut document);
        document.to_string().into()
    });
    TEXT.clone()
}

/// The scheme of the token.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        document.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>("token", [])]);
    }
}

/// Adds the parts that all operations share: names of modules, the form of problems, and the problems that any
/// can have.
fn complete(document: &mut Value) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, operations) in paths.into_iter().flatten() {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            let named = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in named.into_iter().flatten() {
                name(parameter);
            }
            if !path.ends_with("openapi.json") {
                add_role(operation, method, path);
            }
            let answers = operation.get_mut("responses").and_then(Value::as_object_mut);
            let Some(answers) = answers else { continue };
            if !path.ends_with("openapi.json") {
                answers.insert("401".to_owned(), problem("No token of this host"));
                answers.insert("429".to_owned(), problem("Too often no token of this host"));
                // Some operations refuse for more reasons than the token.
                let refused = "The token has too small a role, or is for other modules";
                answers.entry("403").or_insert_with(|| problem(refused));
            }
            for content in answers.values_mut().filter_map(|it| it.get_mut("content")) {
                let schema = content.pointer("/application~1json/schema/$ref");
                if schema.is_some_and(|schema| schema == PROBLEM) {
                    *content = json!({"application/problem+json": {"schema": {"$ref": PROBLEM}}});
                }
            }
        }
    }
}

/// Says which role an operation asks for.
fn add_role(operation: &mut Value, method: &str, path: &str) {
    let Ok(method) = method.to_ascii_uppercase().parse() else { return };
    let Ok((row, _)) = resolve(&method, path) else { return };
    if let Some(fields) = operation.as_object_mut() {
        fields.insert("x-tidegate-role".to_owned(), row.role.word().into());
    }
}

/// Takes off formats of integers: those that there are have signs, and no number here has one.
fn without_signs(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let of_integers = |format: &Value| format == "int32" || format == "int64";
            if fields.get("format").is_some_and(of_integers) {
                fields.remove("format");
            }
            fields.values_mut().for_each(without_signs);
        }
        Value::Array(values) => values.iter_mut().for_each(without_signs),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn name(parameter: &mut Value) {
    let pattern = match parameter.get("name").and_then(Value::as_str) {
        Some("name" | "module" | "token") => NAME,
        Some("channel" | "group") => CHANNEL,
        Some("connection") => REPLY_CHANNEL,
        _ => return,
    };
    if let Some(schema) = parameter.get_mut("schema").and_then(Value::as_object_mut) {
        schema.insert("pattern".to_owned(), pattern.into());
    }
}

fn problem(description: &str) -> Value {
    let content = json!({"application/json": {"schema": {"$ref": PROBLEM}}});
    json!({"description": description, "content": content})
}
