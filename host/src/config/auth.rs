//! `[auth.NAME]`: how tokens of users are checked.

use std::{collections::BTreeMap, fs, ops::RangeInclusive, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{
    ModuleConfig,
    error::{Checked, ConfigError},
    units::{Secret, Span, Words},
};
use crate::{
    auth::{
        Algorithm, AuthConfig, DjangoSessions, Expected, GivenKeys, GivenSecret, KeyUrl, Places,
        Reread, SESSIONS, check_together,
    },
    capability::outside::DocumentUrl,
};

/// By how much the clocks of signer and host may differ, unless it is set.
const LEEWAY_DEFAULT: Duration = Duration::from_secs(30);
/// The most that they may: a token counts so much longer than it says.
const LEEWAY_MAX: Duration = Duration::from_secs(5 * 60);
/// How long keys of a URL count as new, unless it is set.
const REFRESH_DEFAULT: Duration = Duration::from_secs(10 * 60);
/// How long they may.
const REFRESH: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(24 * 60 * 60);
/// What Django calls the cookie of a session, unless a site says otherwise.
const DJANGO_COOKIE_DEFAULT: &str = "sessionid";
/// How long a session of Django lasts, unless a site says otherwise.
const DJANGO_AGE_DEFAULT: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// The largest file with keys, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// `[auth.NAME]`, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAuth {
    algorithms: Option<Words>,
    secret: Option<GivenText>,
    public_keys: Option<OneOrMore>,
    jwks: Option<InFile>,
    jwks_url: Option<String>,
    jwks_grants: Option<Words>,
    jwks_refresh: Option<Span>,
    issuer: Option<String>,
    audience: Option<Words>,
    leeway: Option<Span>,
    user_prefix: Option<String>,
    cookie: Option<String>,
    query: Option<String>,
    django_secrets: Option<OneOrMore>,
    django_cookie: Option<String>,
    django_age: Option<Span>,
}

/// A text that is not shown, or the file that has it.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text in quotes, or { file = \"PATH\" }")]
pub(super) enum GivenText {
    Inline(Secret),
    File(InFile),
}

/// A file, as a map: where serde reads the fields itself, a list of a secret would be one, too.
#[derive(Debug, Deserialize)]
#[serde(try_from = "BTreeMap<String, PathBuf>")]
pub(super) struct InFile {
    file: PathBuf,
}

impl TryFrom<BTreeMap<String, PathBuf>> for InFile {
    type Error = &'static str;

    fn try_from(mut given: BTreeMap<String, PathBuf>) -> Result<Self, Self::Error> {
        match (given.remove("file"), given.is_empty()) {
            (Some(file), true) => Ok(Self { file }),
            _ => Err("a file is named as { file = \"PATH\" }"),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text in quotes, { file = \"PATH\" }, or a list of these")]
pub(super) enum OneOrMore {
    One(GivenText),
    More(Vec<GivenText>),
}

impl OneOrMore {
    /// All of them.
    pub(super) fn all(self) -> Vec<GivenText> {
        match self {
            Self::One(one) => vec![one],
            Self::More(more) => more,
        }
    }
}

/// Checks the sections, each and together.
pub(super) fn config(raw: BTreeMap<String, RawAuth>) -> Checked<Vec<AuthConfig>> {
    if raw.contains_key(SESSIONS) {
        let problem = "this name stands for the sessions of the host; give the section another one";
        return Err(ConfigError::new(&format!("auth.{SESSIONS}"), problem));
    }
    let each = raw.into_iter().map(|(name, section)| one(&format!("auth.{name}"), section));
    let sections = each.collect::<Checked<Vec<_>>>()?;
    check_together(&sections)
        .map_err(|(name, error)| ConfigError::new(&format!("auth.{name}"), &error.to_string()))?;
    Ok(sections)
}

/// Checks that no cookie is read as two things.
pub(super) fn check_cookies(sections: &[AuthConfig], session: Option<&str>) -> Checked<()> {
    let named = |section: &AuthConfig| {
        let cookies = [("cookie", section.cookie()), ("django_cookie", section.django_cookie())];
        let name = section.name().to_owned();
        cookies.map(|(key, cookie)| (format!("auth.{name}.{key}"), key, cookie.map(str::to_owned)))
    };
    let mut all: Vec<_> = sections.iter().flat_map(named).collect();
    all.push(("sessions.cookie".to_owned(), "session", session.map(str::to_owned)));
    for (at, (place, kind, cookie)) in all.iter().enumerate() {
        let mut before = all.iter().take(at);
        let same = before.find(|(_, other, name)| other != kind && name == cookie);
        if let (Some((other, _, _)), Some(cookie)) = (same, cookie) {
            let problem =
                format!("the cookie {cookie:?} is that of {other}, too; give each its own");
            return Err(ConfigError::new(place, &problem));
        }
    }
    Ok(())
}

/// Checks that modules name sections that are there.
pub(super) fn check_named(sections: &[AuthConfig], modules: &[ModuleConfig]) -> Checked<()> {
    // A process that only works has no sections.
    let modules = modules.iter().filter(|_| !sections.is_empty());
    for module in modules {
        let mut named = module.settings.auth.iter().flat_map(|named| named.iter());
        let is_known =
            |name: &str| name == SESSIONS || sections.iter().any(|section| section.name() == name);
        let unknown = named.find(|name| !is_known(name));
        if let Some(name) = unknown {
            let known = sections.iter().map(AuthConfig::name);
            let known = known.collect::<Vec<_>>().join(", ");
            let problem = format!(
                "there is no section `auth.{name}`; name some of {known}, and {SESSIONS} for those of the host"
            );
            return Err(ConfigError::new(&format!("modules.{}.auth", module.name), &problem));
        }
    }
    Ok(())
}

fn one(place: &str, raw: RawAuth) -> Checked<AuthConfig> {
    let key = |name: &str| format!("{place}.{name}");
    let Words(names) = raw.algorithms.unwrap_or(Words(Vec::new()));
    let algorithms = names.iter().map(|name| algorithm(&key("algorithms"), name));
    let algorithms = algorithms.collect::<Checked<Vec<_>>>()?;
    let sources = Sources {
        place: place.to_owned(),
        secret: raw.secret,
        public_keys: raw.public_keys.map_or_else(Vec::new, OneOrMore::all),
        django: raw.django_secrets.map_or_else(Vec::new, OneOrMore::all),
        jwks: raw.jwks,
        url: url(&key, raw.jwks_url.as_deref(), raw.jwks_grants, raw.jwks_refresh)?,
    };
    let given = sources.read()?;
    let leeway = raw.leeway.map_or(LEEWAY_DEFAULT, |Span(span)| span);
    if leeway > LEEWAY_MAX {
        return Err(ConfigError::new(
            &key("leeway"),
            "it is at most 5m: a token counts so much longer",
        ));
    }
    for (name, value) in
        [("cookie", &raw.cookie), ("query", &raw.query), ("django_cookie", &raw.django_cookie)]
    {
        let is_name = |text: &String| !text.is_empty() && text.bytes().all(is_token_byte);
        if value.as_ref().is_some_and(|value| !is_name(value)) {
            let problem = "it is a name of letters, digits, `-`, `_` and `.`, such as \"token\"";
            return Err(ConfigError::new(&key(name), problem));
        }
    }
    let expected =
        Expected { issuer: raw.issuer, audience: raw.audience.map(|Words(names)| names), leeway };
    let places = Places { cookie: raw.cookie, query: raw.query };
    let is_of_django =
        !given.django.is_empty() || raw.django_cookie.is_some() || raw.django_age.is_some();
    let django = DjangoSessions {
        cookie: raw.django_cookie.unwrap_or_else(|| DJANGO_COOKIE_DEFAULT.to_owned()),
        age: raw.django_age.map_or(DJANGO_AGE_DEFAULT, |Span(span)| span),
    };
    let config = AuthConfig::new(algorithms, &given, expected, places)
        .and_then(|config| if is_of_django { config.with_django(django) } else { Ok(config) })
        .and_then(|config| config.with_user_prefix(raw.user_prefix.unwrap_or_default()))
        .map_err(|error| ConfigError::new(place, &error.to_string()))?;
    let name = place.strip_prefix("auth.").unwrap_or(place);
    let reread = Reread::new(move || sources.read().map_err(|error| error.to_string()));
    Ok(config.named(name).rereading(reread))
}

/// The keys of a section, and where they are.
struct Sources {
    /// The section, for messages.
    place: String,
    secret: Option<GivenText>,
    public_keys: Vec<GivenText>,
    django: Vec<GivenText>,
    jwks: Option<InFile>,
    url: Option<KeyUrl>,
}

impl Sources {
    /// Reads the files as they are now.
    fn read(&self) -> Checked<GivenKeys> {
        let key = |name: &str| format!("{}.{name}", self.place);
        let django = self.django.iter().map(|given| secret(&key("django_secrets"), given));
        let secret = self.secret.as_ref().map(|given| secret(&key("secret"), given));
        let public_keys = self.public_keys.iter();
        let public_keys = public_keys.map(|given| public_key(&key("public_keys"), given));
        let jwks = self.jwks.as_ref().map(|InFile { file }| read(&key("jwks"), file));
        Ok(GivenKeys {
            secret: secret.transpose()?,
            public_keys: public_keys.collect::<Checked<_>>()?,
            jwks: jwks.transpose()?,
            url: self.url.clone(),
            django: django.collect::<Checked<_>>()?,
        })
    }
}

/// Checks where keys are fetched from. The guard of requests checks it again, with the addresses of its name.
fn url(
    key: &impl Fn(&str) -> String,
    url: Option<&str>,
    grants: Option<Words>,
    refresh: Option<Span>,
) -> Checked<Option<KeyUrl>> {
    let Some(url) = url else {
        let orphan = if refresh.is_some() { "jwks_refresh" } else { "jwks_grants" };
        return match (grants, refresh) {
            (None, None) => Ok(None),
            _ => Err(ConfigError::new(&key(orphan), "there is no `jwks_url` that it is about")),
        };
    };
    let place = key("jwks_refresh");
    let refresh = refresh.map_or(REFRESH_DEFAULT, |Span(span)| span);
    if !REFRESH.contains(&refresh) {
        return Err(ConfigError::new(&place, "it is from 1m to 24h"));
    }
    let place = key("jwks_url");
    let Words(grants) = grants.unwrap_or(Words(Vec::new()));
    DocumentUrl::new(url, &grants).map_err(|error| ConfigError::new(&place, &error.to_string()))?;
    Ok(Some(KeyUrl { url: url.to_owned(), grants, refresh }))
}

/// Whether the name of a cookie or a parameter may have it.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn algorithm(place: &str, name: &str) -> Checked<Algorithm> {
    Algorithm::of(name).ok_or_else(|| {
        let known = Algorithm::ALL.map(Algorithm::name).join(", ");
        ConfigError::new(place, &format!("{name:?} is not one of {known}"))
    })
}

/// Reads a secret.
pub(super) fn secret(place: &str, given: &GivenText) -> Checked<GivenSecret> {
    let mut bytes = match given {
        GivenText::Inline(Secret(text)) => return Ok(GivenSecret(text.clone().into_bytes())),
        GivenText::File(InFile { file }) => read(place, file)?,
    };
    // Editors end a file with a line break.
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    Ok(GivenSecret(bytes))
}

fn public_key(place: &str, given: &GivenText) -> Checked<String> {
    match given {
        GivenText::Inline(Secret(text)) => Ok(text.clone()),
        GivenText::File(InFile { file }) => String::from_utf8(read(place, file)?)
            .map_err(|_| ConfigError::new(place, &format!("{} is not text", file.display()))),
    }
}

fn read(place: &str, file: &PathBuf) -> Checked<Vec<u8>> {
    let wrong =
        |problem: String| ConfigError::new(place, &format!("{}: {problem}", file.display()));
    let metadata = fs::metadata(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if metadata.len() > KEY_FILE_BYTES_MAX {
        return Err(wrong("it has more than 1 MiB, so it is not a file with keys".to_owned()));
    }
    fs::read(file).map_err(|error| wrong(format!("cannot be read: {error}")))
}
