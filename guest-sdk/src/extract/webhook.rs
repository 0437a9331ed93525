//! Requests that another service has signed.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::FromRequest;
use crate::{Context, Error, Request, Response, Result, Scope};

/// A service that signs its requests: its secret and its scheme.
pub trait Webhook {
    /// The variable that has the secret, which an operator grants with `grants.secrets`.
    const SECRET: &'static str;
    /// How it signs.
    const SCHEME: SignatureScheme;
}

/// How a service signs its requests: with an HMAC-SHA256 over the body as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureScheme {
    /// `x-hub-signature-256: sha256=HEX`, over the body. GitHub and many others. The signature covers no time, so
    /// whoever has seen a request may send it again: keep the ids of requests that count.
    GitHub,
    /// `stripe-signature: t=SECONDS,v1=HEX`, over the time, a dot and the body. Several `v1` are for a secret that
    /// is being replaced: one of them has to fit.
    Stripe {
        /// How far the time may be from that of the host, before or after it.
        tolerance: Duration,
    },
}

const GITHUB: &str = "x-hub-signature-256";
const STRIPE: &str = "stripe-signature";

impl SignatureScheme {
    /// As Stripe advises: five minutes.
    pub const STRIPE: Self = Self::Stripe { tolerance: Duration::from_secs(5 * 60) };

    /// Signs a body as the service does: the name of the header field, and its value. For tests, and for
    /// requests to others who check.
    #[must_use]
    pub fn sign(self, secret: &str, body: &[u8], moment: SystemTime) -> (&'static str, String) {
        let hex = |parts: &[&[u8]]| {
            HEXLOWER_PERMISSIVE.encode(&mac(secret, parts).finalize().into_bytes())
        };
        match self {
            Self::GitHub => (GITHUB, format!("sha256={}", hex(&[body]))),
            Self::Stripe { .. } => {
                let time = seconds(moment).to_string();
                let hex = hex(&[time.as_bytes(), b".", body]);
                (STRIPE, format!("t={time},v1={hex}"))
            }
        }
    }

    /// Whether the secret has signed a body.
    fn check(
        self,
        secret: &str,
        scope: &Scope,
        body: &[u8],
        now: SystemTime,
    ) -> Result<(), Unsigned> {
        match self {
            Self::GitHub => {
                let hex = field(scope, GITHUB)?.strip_prefix("sha256=");
                let hex = hex.ok_or(Unsigned::Malformed(GITHUB))?;
                fits(secret, &[body], hex, GITHUB)
            }
            Self::Stripe { tolerance } => {
                let (mut time, mut signatures) = (None, Vec::new());
                for part in field(scope, STRIPE)?.split(',') {
                    match part.trim().split_once('=') {
                        Some(("t", value)) if time.is_none() => time = Some(value),
                        Some(("v1", hex)) => signatures.push(hex),
                        Some((other, _)) if other != "t" => {}
                        _ => return Err(Unsigned::Malformed(STRIPE)),
                    }
                }
                let time = time.ok_or(Unsigned::Malformed(STRIPE))?;
                let signed: u64 = time.parse().map_err(|_| Unsigned::Malformed(STRIPE))?;
                let parts: [&[u8]; 3] = [time.as_bytes(), b".", body];
                // All are looked at, so that the time taken says nothing of which one fits.
                let checked: Vec<_> =
                    signatures.iter().map(|hex| fits(secret, &parts, hex, STRIPE)).collect();
                if !checked.iter().any(Result::is_ok) {
                    return checked.into_iter().next().unwrap_or(Err(Unsigned::Malformed(STRIPE)));
                }
                let off = seconds(now).abs_diff(signed);
                if off > tolerance.as_secs() {
                    return Err(Unsigned::Late { off, tolerance: tolerance.as_secs() });
                }
                Ok(())
            }
        }
    }
}

/// Why a request is not counted as one of the service. The client is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsigned {
    Missing(&'static str),
    Several(&'static str),
    Malformed(&'static str),
    /// By another secret, or over another body.
    Wrong,
    /// In seconds.
    Late {
        off: u64,
        tolerance: u64,
    },
}

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(field) => write!(f, "it has no header field `{field}`"),
            Self::Several(field) => write!(f, "it has more than one header field `{field}`"),
            Self::Malformed(field) => write!(f, "its header field `{field}` is malformed"),
            Self::Wrong => {
                f.write_str("its signature is that of another secret, or of another body")
            }
            Self::Late { off, tolerance } => {
                write!(f, "it was signed {off} s from now, and the tolerance is {tolerance} s")
            }
        }
    }
}

fn field<'a>(scope: &'a Scope, name: &'static str) -> Result<&'a str, Unsigned> {
    let mut fields = scope.headers().filter(|(field, _)| *field == name);
    let (_, value) = fields.next().ok_or(Unsigned::Missing(name))?;
    if fields.next().is_some() {
        return Err(Unsigned::Several(name));
    }
    std::str::from_utf8(value).map_err(|_| Unsigned::Malformed(name))
}

fn fits(secret: &str, parts: &[&[u8]], hex: &str, name: &'static str) -> Result<(), Unsigned> {
    let signature = HEXLOWER_PERMISSIVE.decode(hex.as_bytes());
    let signature = signature.map_err(|_| Unsigned::Malformed(name))?;
    // In constant time.
    mac(secret, parts).verify_slice(&signature).map_err(|_| Unsigned::Wrong)
}

fn mac(secret: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::new_from_slice(secret.as_bytes()).expect("an HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

fn seconds(moment: SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A request that another service has signed. `T` reads its body after the signature was checked; for the
/// body as it is, leave `T` out and take the [`Request`] besides.
///
/// One whose signature does not fit is answered with status 403, and the consumer is not run. The record says why, the
/// client does not hear it. A secret that is not granted is a fault.
///
/// ```
/// use serde::Deserialize;
/// use std::time::UNIX_EPOCH;
/// use tidegate_sdk::testing::TestHost;
/// use tidegate_sdk::{Json, SignatureScheme, Signed, Webhook, export, http};
///
/// struct Payments;
///
/// impl Webhook for Payments {
///     const SECRET: &'static str = "PAYMENTS_SECRET";
///     const SCHEME: SignatureScheme = SignatureScheme::STRIPE;
/// }
///
/// #[derive(Deserialize)]
/// struct Paid {
///     cents: u64,
/// }
///
/// #[http("POST /hooks/payments")]
/// fn paid(Signed(Json(paid), _): Signed<Payments, Json<Paid>>) -> String {
///     format!("{} cents\n", paid.cents)
/// }
///
/// export! { paid }
///
/// let host = TestHost::new(consumers()).secret("PAYMENTS_SECRET", "a secret").at(UNIX_EPOCH);
/// let body = r#"{"cents": 250}"#;
/// let (name, value) = Payments::SCHEME.sign("a secret", body.as_bytes(), UNIX_EPOCH);
/// let post = || host.request("POST", "/hooks/payments").header("content-type", "application/json");
/// assert_eq!(post().header(name, value).body(body).send().text(), "250 cents\n");
/// let (name, value) = Payments::SCHEME.sign("another", body.as_bytes(), UNIX_EPOCH);
/// assert_eq!(post().header(name, value).body(body).send().status(), 403);
/// ```
#[derive(Debug)]
pub struct Signed<W, T = ()>(pub T, pub PhantomData<W>);

impl<W: Webhook, T: FromRequest> FromRequest for Signed<W, T> {
    fn from_request(request: &Request, cx: &mut Context) -> Result<Self> {
        let Some(secret) = cx.variable(W::SECRET).filter(|secret| !secret.is_empty()) else {
            return Err(Error::failed(format!(
                "the secret {} is not granted, or empty: an operator grants it with \
                 modules.{}.grants.secrets",
                W::SECRET,
                cx.module()
            )));
        };
        if let Err(why) = W::SCHEME.check(&secret, request, request.body(), cx.now()) {
            cx.warn(format!("a request is refused: {why}"));
            return Err(Error::response(Response::text("forbidden\n").status(403)));
        }
        Ok(Self(T::from_request(request, cx)?, PhantomData))
    }
}
