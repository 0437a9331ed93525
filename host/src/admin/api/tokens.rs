//! Makes, lists and revokes named tokens.

use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, Call, body, empty, json, problem::Problem, types::Moment};
use crate::{
    admin::{
        access::{Role, TokenName, seconds_now},
        store::{Added, StoredToken, TOKENS_MAX, UsedToken},
    },
    message::ModuleName,
};

/// The longest life of a token: ten years.
const LIFE_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
/// Modules that a token may be limited to.
const MODULES_MAX: usize = 100;

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// Its name, for lists and the audit line.
    #[schema(pattern = "^[a-z0-9-]{1,63}$")]
    name: String,
    role: Role,
    /// The modules that it is limited to. Without it: all. A token of the role `admin` cannot be limited.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 100)]
    modules: Option<Vec<String>>,
    /// How long it lives, such as `30days`. Without it: until it is revoked.
    #[serde(default)]
    #[schema(pattern = "^[1-9][0-9]{0,3}(s|m|h)$")]
    ttl: Option<String>,
}

/// A token, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Token {
    /// None: the token of the data directory.
    name: Option<String>,
    role: Role,
    /// The modules that it is limited to; none: all.
    modules: Option<Vec<String>>,
    /// None of the token of the data directory.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Moment>,
    created_by: Option<String>,
    /// When it ends by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Moment>,
    /// The hour of its last use.
    #[schema(value_type = Option<String>, format = DateTime)]
    used_at: Option<Moment>,
}

/// A token that was made, with its text, which is not shown again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeToken {
    #[serde(flatten)]
    token: Token,
    /// The text that goes behind `Bearer`.
    secret: String,
}

/// All named tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenList {
    /// By name. There are at most 1,000.
    tokens: Vec<Token>,
}

impl Token {
    fn of(name: &TokenName, token: StoredToken, used_at: Option<u64>) -> Self {
        let StoredToken { role, modules, created_at, created_by, expires_at, .. } = token;
        Self {
            name: Some(name.to_string()),
            role,
            modules,
            created_at: moment(created_at),
            created_by: Some(created_by),
            expires_at: expires_at.and_then(moment),
            used_at: used_at.and_then(moment),
        }
    }
}

/// A moment in seconds since 1970. None where a clock cannot show it.
fn moment(seconds: u64) -> Option<Moment> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).map(Moment)
}

/// The token of the request.
#[utoipa::path(get, path = "/api/v1/token", tag = "tokens", responses(
    (status = 200, description = "The token, with its role", body = Token),
))]
pub(super) fn own(call: &Call) -> Answer {
    let token = match call.holder.kept() {
        Some(UsedToken { name, token, used_at }) => Token::of(name, token.clone(), *used_at),
        None => Token {
            name: None,
            role: call.holder.role(),
            modules: None,
            created_at: None,
            created_by: None,
            expires_at: None,
            used_at: None,
        },
    };
    json(StatusCode::OK, &token)
}

/// All named tokens.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", responses(
    (status = 200, description = "All named tokens, without their texts", body = TokenList),
    (status = 500, description = "The tokens cannot be read", body = Problem),
    (status = 503, description = "Redis does not answer", body = Problem),
))]
pub(super) async fn list(call: &Call) -> Result<Answer, Box<Problem>> {
    let tokens = call.state.tokens.list().await?.into_iter();
    let tokens = tokens.map(|UsedToken { name, token, used_at }| Token::of(&name, token, used_at));
    Ok(json(StatusCode::OK, &TokenList { tokens: tokens.collect() }))
}

/// Makes a named token. Its text is in this answer only.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens",
    request_body = NewToken,
    responses(
        (status = 201, description = "The token, with its text", body = MadeToken),
        (status = 400, description = "No JSON, or the body was cut off", body = Problem),
        (status = 408, description = "The body comes too slowly", body = Problem),
        (status = 409, description = "The name is taken", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "Not a token", body = Problem),
        (status = 500, description = "The tokens cannot be written", body = Problem),
        (status = 503, description = "Redis does not answer", body = Problem),
        (status = 507, description = "There are too many, or Redis has no memory left", body = Problem),
    ),
)]
pub(super) async fn create(call: Call) -> Result<Answer, Box<Problem>> {
    let audit = call.audit();
    let new: NewToken = body::json(&call.headers, call.body, "token-settings").await?;
    let wrong =
        |text: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "token-settings", text);
    let name = TokenName::parse(&new.name).map_err(|error| wrong(error.to_string()))?;
    let modules =
        new.modules.map(|modules| checked(modules, new.role)).transpose().map_err(wrong)?;
    let life = new.ttl.map(|ttl| life(&ttl)).transpose().map_err(wrong)?;
    let now = seconds_now();
    let token = StoredToken {
        digest: String::new(),
        role: new.role,
        modules,
        created_at: now,
        created_by: audit.who.clone(),
        expires_at: life.map(|life| now + life.as_secs()),
    };
    let (secret, token) = match call.state.tokens.create(&name, token).await? {
        Ok(made) => made,
        Err(Added::TooMany) => {
            let text = format!("there are {TOKENS_MAX} tokens already; revoke some");
            return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, "too-many-tokens", text));
        }
        Err(_) => {
            let text = format!(
                "there is a token {name} already; choose another name, or revoke that one first"
            );
            return Err(Problem::new(StatusCode::CONFLICT, "token-exists", text));
        }
    };
    audit.line("token-create", name.as_str());
    let token = Token::of(&name, token, None);
    Ok(json(StatusCode::CREATED, &MadeToken { token, secret }))
}

/// Revokes a named token, in all processes within a second.
#[utoipa::path(delete, path = "/api/v1/tokens/{token}", tag = "tokens",
    params(("token" = String, Path, description = "The name of the token")),
    responses(
        (status = 204, description = "It is revoked"),
        (status = 400, description = "No name", body = Problem),
        (status = 404, description = "No such token", body = Problem),
        (status = 500, description = "The tokens cannot be written", body = Problem),
        (status = 503, description = "Redis does not answer", body = Problem),
    ),
)]
pub(super) async fn revoke(call: &Call) -> Result<Answer, Box<Problem>> {
    let name = call.params.first().map(String::as_str).unwrap_or_default();
    let name = TokenName::parse(name).map_err(|error| Problem::bad("name", error.to_string()))?;
    if !call.state.tokens.revoke(&name).await? {
        let text = format!(
            "there is no token {name}; GET /api/v1/tokens and `tidegate token list` list what there is"
        );
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-such-token", text));
    }
    call.audit().line("token-revoke", name.as_str());
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Checks the modules that a token is limited to.
fn checked(modules: Vec<String>, role: Role) -> Result<Vec<String>, String> {
    if role == Role::Admin {
        return Err(
            "a token of the role admin cannot be limited to modules, since settings of one \
                    module can open all files of the machine; leave `modules` out, or take deploy"
                .to_owned(),
        );
    }
    if !(1..=MODULES_MAX).contains(&modules.len()) {
        let count = modules.len();
        return Err(format!(
            "`modules` has {count} names; give 1 to {MODULES_MAX}, or leave it out for all modules"
        ));
    }
    for name in &modules {
        ModuleName::parse(name)
            .map_err(|error| format!("{name:?} is not a valid module name: {error}"))?;
    }
    Ok(modules)
}

fn life(ttl: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(ttl).ok();
    let span = span.filter(|span| (Duration::from_secs(1)..=LIFE_MAX).contains(span));
    span.ok_or_else(|| {
        format!(
            "`ttl` is {ttl:?}; give a span of time from 1s to 3650days, such as \"12h\" or \"30days\""
        )
    })
}
