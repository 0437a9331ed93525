//! Requests that another service signs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tidegate_sdk::testing::TestHost;
use tidegate_sdk::{Json, Request, SignatureScheme, Signed, Webhook, export, http};

struct Pushes;

impl Webhook for Pushes {
    const SECRET: &'static str = "PUSHES_SECRET";
    const SCHEME: SignatureScheme = SignatureScheme::GitHub;
}

struct Payments;

impl Webhook for Payments {
    const SECRET: &'static str = "PAYMENTS_SECRET";
    const SCHEME: SignatureScheme = SignatureScheme::STRIPE;
}

#[derive(Serialize, Deserialize)]
struct Paid {
    cents: u64,
}

#[http("POST /pushed")]
fn pushed(request: &Request, _signed: Signed<Pushes>) -> String {
    format!("{} bytes", request.body().len())
}

#[http("POST /paid")]
fn paid(Signed(Json(paid), _): Signed<Payments, Json<Paid>>) -> String {
    format!("{} cents", paid.cents)
}

export! { pushed, paid }

const NOW: Duration = Duration::from_secs(1_700_000_000);

fn now() -> SystemTime {
    UNIX_EPOCH + NOW
}

fn host() -> TestHost {
    TestHost::new(consumers())
        .secret("PUSHES_SECRET", "It's a Secret to Everybody")
        .secret("PAYMENTS_SECRET", "whsec_test")
        .at(now())
}

fn post(host: &TestHost, path: &str, fields: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut request = host.request("POST", path).header("content-type", "application/json");
    for (name, value) in fields {
        request = request.header(name, *value);
    }
    let response = request.body(body).send();
    (response.status(), response.text().to_owned())
}

/// Why the last request was refused: only the record says it.
fn reason(host: &TestHost) -> String {
    host.logs().last().map(|line| line.text.clone()).unwrap_or_default()
}

/// The example of GitHub's documentation.
const PUBLISHED: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

#[test]
fn the_published_signature_of_a_body_fits_and_no_other() {
    let host = host();
    let field = "x-hub-signature-256";
    let answer = post(&host, "/pushed", &[(field, PUBLISHED)], "Hello, World!");
    assert_eq!(answer, (200, "13 bytes".to_owned()));
    let upper = PUBLISHED.to_uppercase().replace("SHA256", "sha256");
    assert_eq!(post(&host, "/pushed", &[(field, &upper)], "Hello, World!").0, 200);
    let short = PUBLISHED.strip_suffix("17").unwrap();
    let bare = PUBLISHED.strip_prefix("sha256=").unwrap();
    let rest = bare.strip_prefix("75").unwrap();
    for (fields, body, said) in [
        (&[(field, PUBLISHED)][..], "Hello, World?", "another secret, or of another body"),
        (&[], "Hello, World!", "it has no header field `x-hub-signature-256`"),
        (&[(field, PUBLISHED), (field, PUBLISHED)], "Hello, World!", "more than one header field"),
        (&[(field, bare)], "Hello, World!", "is malformed"),
        (&[(field, short)], "Hello, World!", "another secret, or of another body"),
        (&[(field, &format!("sha256=7{rest}"))], "Hello, World!", "is malformed"),
        (&[(field, &format!("sha256=gg{rest}"))], "Hello, World!", "is malformed"),
        (&[(field, "sha256=")], "Hello, World!", "another secret, or of another body"),
        (&[(field, &format!("sha1={bare}"))], "Hello, World!", "is malformed"),
    ] {
        let answer = post(&host, "/pushed", fields, body);
        assert_eq!(answer, (403, "forbidden\n".to_owned()), "{fields:?}");
        assert!(reason(&host).contains(said), "{fields:?}: {}", reason(&host));
    }
}

#[test]
fn a_signature_with_a_time_fits_for_five_minutes_before_and_after() {
    let host = host();
    let body = r#"{"cents":250}"#;
    let sign = |secret: &str, moment| Payments::SCHEME.sign(secret, body.as_bytes(), moment).1;
    let send = |value: &str| post(&host, "/paid", &[("stripe-signature", value)], body);
    for ago in [0, 1, 299, 300] {
        let span = Duration::from_secs(ago);
        for moment in [now() - span, now() + span] {
            assert_eq!(send(&sign("whsec_test", moment)), (200, "250 cents".to_owned()), "{ago}");
        }
    }
    for moment in [now() - Duration::from_secs(301), now() + Duration::from_secs(301)] {
        assert_eq!(send(&sign("whsec_test", moment)).0, 403);
        assert_eq!(
            reason(&host),
            "a request is refused: it was signed 301 s from now, and the tolerance is 300 s"
        );
    }
    let good = sign("whsec_test", now());
    let (time, v1) = good.split_once(',').unwrap();
    let other = sign("another", now());
    let (_, other) = other.split_once(',').unwrap();
    for value in
        [format!("{time},{other},{v1}"), format!("{time}, v0=00 , {v1}"), format!("{v1},{time}")]
    {
        assert_eq!(send(&value).0, 200, "{value}");
    }
    for (value, said) in [
        (format!("{time},{other}"), "another secret"),
        (v1.to_owned(), "malformed"),
        (time.to_owned(), "malformed"),
        (format!("{time},{time},{v1}"), "malformed"),
        (format!("t=1700000001,{v1}"), "another secret"),
        (format!("t=x,{v1}"), "malformed"),
        (format!("{time},v1"), "malformed"),
        (String::new(), "malformed"),
        (format!("t=-1,{v1}"), "malformed"),
    ] {
        assert_eq!(send(&value), (403, "forbidden\n".to_owned()), "{value}");
        assert!(reason(&host).contains(said), "{value}: {}", reason(&host));
    }
    // What was signed is read afterwards, and then the sender is told what is wrong with it.
    let wrong = r#"{"cents":"many"}"#;
    let (name, value) = Payments::SCHEME.sign("whsec_test", wrong.as_bytes(), now());
    assert_eq!(post(&host, "/paid", &[(name, &value)], wrong).0, 400);
}

#[test]
fn a_secret_that_is_not_granted_or_empty_is_a_fault_that_names_it() {
    for host in [TestHost::new(consumers()), TestHost::new(consumers()).secret("PUSHES_SECRET", "")]
    {
        // An HMAC with an empty key would fit.
        let (name, value) = Pushes::SCHEME.sign("", b"x", now());
        assert_eq!(post(&host, "/pushed", &[(name, &value)], "x").0, 500);
        let text = &host.faults()[0].text;
        assert!(
            text.contains("PUSHES_SECRET is not granted")
                && text.contains("modules.test.grants.secrets"),
            "{text}"
        );
    }
}
