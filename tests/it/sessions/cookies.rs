//! Which cookies count. Each row is a request over a real socket.
#![expect(clippy::indexing_slicing, reason = "a cookie has 96 characters, which are 72 bytes")]

use data_encoding::BASE64URL_NOPAD;
use tests::{OTHER_SECRET, SECRET, sealed, session_cookie};

use super::{Browser, host_with, refusals};

const NAME: &str = "__Host-session";
/// What a host writes at the end of a cookie's life: nothing.
const PURPOSE: &[u8] = b"tidegate session 1\0";

/// What becomes of a request for a page that is for users only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It runs.
    In,
    /// It is refused for this reason. The client learns no more than that it is.
    Out(&'static str),
}

use Outcome::{In, Out};

const MISSING: Outcome = Out("missing");
const FORM: Outcome = Out("session_form");
const SIGNATURE: Outcome = Out("session_signature");
const EXPIRED: Outcome = Out("session_expired");
const ENDED: Outcome = Out("session_ended");
const SEVERAL: Outcome = Out("several");

/// The cookie with the character at a place changed to another one of the alphabet.
fn changed(cookie: &str, at: usize) -> String {
    let mut bytes = cookie.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

/// The cookie with bytes changed before they are written as text.
fn with_bytes(cookie: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = BASE64URL_NOPAD.decode(cookie.as_bytes()).unwrap();
    change(&mut bytes);
    BASE64URL_NOPAD.encode(&bytes)
}

/// Requests by the fields `cookie` that they have, and what becomes of each.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn table(good: &str, ended: &str) -> Vec<(&'static str, Vec<String>, Outcome)> {
    let id = [9; 32];
    let one = |value: &str| vec![format!("{NAME}={value}")];
    let raw = |text: &str| vec![text.to_owned()];
    let unsigned = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let standard = good.replace('-', "+").replace('_', "/");
    let signed_with = |purpose: &[u8]| {
        let far = [&u64::MAX.to_be_bytes()[..], &id].concat();
        sealed(SECRET, purpose, &far)
    };
    let expires = |seconds| session_cookie(None, id, seconds);
    let flipped = |at: usize| with_bytes(good, |bytes| bytes[at] ^= 1);
    vec![
        // As they should be.
        ("alone", one(good), In),
        ("behind another", raw(&format!("a=1; {NAME}={good}")), In),
        ("before another", raw(&format!("{NAME}={good}; a=1")), In),
        ("without a space", raw(&format!("a=1;{NAME}={good};b=2")), In),
        ("with spaces around", raw(&format!("  {NAME}={good}  ")), In),
        ("in the second field", vec!["a=1".to_owned(), format!("{NAME}={good}")], In),
        ("beside pairs without a name", raw(&format!("=; x; {NAME}={good}; =y")), In),
        ("beside one that begins like it", raw(&format!("{NAME}2=x; {NAME}={good}")), In),
        ("beside one that ends like it", raw(&format!("x{NAME}=y; {NAME}={good}")), In),
        ("beside bytes that are no text", raw(&format!("x=1; {NAME}={good}; y=2")), In),
        // There is none.
        ("no field", vec![], MISSING),
        ("an empty field", raw(""), MISSING),
        ("another one", raw("a=1"), MISSING),
        ("a name without a value", raw(NAME), MISSING),
        ("a name in lower case", raw(&format!("__host-session={good}")), MISSING),
        ("a name in upper case", raw(&format!("__HOST-SESSION={good}")), MISSING),
        ("the name of a host without TLS", raw(&format!("session={good}")), MISSING),
        ("a name with a space behind it", raw(&format!("{NAME} ={good}")), MISSING),
        ("a name in quotes", raw(&format!("\"{NAME}\"={good}")), MISSING),
        ("divided by a comma", raw(&format!("a=1, {NAME}={good}")), MISSING),
        // Two of one name: which one another reader takes is not known.
        ("twice the same", raw(&format!("{NAME}={good}; {NAME}={good}")), SEVERAL),
        ("a good one and a bad one", raw(&format!("{NAME}={good}; {NAME}=x")), SEVERAL),
        ("a bad one and a good one", raw(&format!("{NAME}=x; {NAME}={good}")), SEVERAL),
        ("in two fields", vec![format!("{NAME}={good}"), format!("{NAME}={good}")], SEVERAL),
        ("an empty one and a good one", raw(&format!("{NAME}=; {NAME}={good}")), SEVERAL),
        // Of another form.
        ("empty", one(""), FORM),
        ("one character", one("A"), FORM),
        ("without the last character", one(&good[..95]), FORM),
        ("without the first character", one(&good[1..]), FORM),
        ("half of it", one(&good[..48]), FORM),
        ("with one more", one(&format!("{good}A")), FORM),
        ("twice as long", one(&format!("{good}{good}")), FORM),
        ("4 KiB", one(&"A".repeat(4_096)), FORM),
        ("padded", one(&format!("{}==", &good[..94])), FORM),
        ("in quotes", one(&format!("\"{good}\"")), FORM),
        ("in quotes of the right length", one(&format!("\"{}\"", &good[..94])), FORM),
        ("with a space inside", one(&format!("{} {}", &good[..47], &good[48..])), FORM),
        ("with a tab inside", one(&format!("{}\t{}", &good[..47], &good[48..])), FORM),
        ("in percent", one(&good.replace('A', "%41").replace('B', "%42")[..95]), FORM),
        ("hexadecimal", one(&"ab".repeat(48)[..95]), FORM),
        ("a number", one("1700000000"), FORM),
        ("text where bytes belong", one("expires=never&user=admin"), FORM),
        ("JSON", one("{}"), FORM),
        ("a token", one("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."), FORM),
        (
            "the standard alphabet",
            one(&if standard == good { "+".repeat(96) } else { standard }),
            FORM,
        ),
        ("a slash", one(&"/".repeat(96)), FORM),
        ("a dot", one(&".".repeat(96)), FORM),
        // Of the right form, and signed by nobody.
        ("only A", one(&"A".repeat(96)), SIGNATURE),
        ("bytes of 255", one(&unsigned(&[255; 72])), SIGNATURE),
        ("first character changed", one(&changed(good, 0)), SIGNATURE),
        ("last character changed", one(&changed(good, 95)), SIGNATURE),
        ("a bit of the moment", one(&flipped(7)), SIGNATURE),
        ("a later moment", one(&with_bytes(good, |it| it[0] = 127)), SIGNATURE),
        ("the first bit of the id", one(&flipped(8)), SIGNATURE),
        ("the last bit of the id", one(&flipped(39)), SIGNATURE),
        ("the first bit of the code", one(&flipped(40)), SIGNATURE),
        ("the last bit of the code", one(&flipped(71)), SIGNATURE),
        ("no code", one(&with_bytes(good, |it| it[40..].fill(0))), SIGNATURE),
        ("the code of another one", one(&format!("{}{}", &good[..54], &ended[54..])), SIGNATURE),
        ("reversed", one(&good.chars().rev().collect::<String>()), SIGNATURE),
        ("another secret", one(&session_cookie(Some(OTHER_SECRET), id, 3_600)), SIGNATURE),
        ("an empty secret", one(&session_cookie(Some(""), id, 3_600)), SIGNATURE),
        ("the name as the secret", one(&session_cookie(Some(NAME), id, 3_600)), SIGNATURE),
        ("signed for nothing", one(&signed_with(b"")), SIGNATURE),
        ("signed for something else", one(&signed_with(b"tidegate something 1\0")), SIGNATURE),
        ("signed for a later format", one(&signed_with(b"tidegate session 2\0")), SIGNATURE),
        // Signed by the host, and over.
        ("ended an hour ago", one(&expires(-3_600)), EXPIRED),
        ("ended a second ago", one(&expires(-1)), EXPIRED),
        ("ended now", one(&expires(0)), EXPIRED),
        ("ended in 1970", one(&sealed(SECRET, PURPOSE, &[&[0; 8][..], &id].concat())), EXPIRED),
        // Signed by the host, and of no session.
        ("of an id that is unknown", one(&expires(3_600)), ENDED),
        ("of one that is not to begin yet", one(&expires(400 * 24 * 3_600)), ENDED),
        ("to the end of all time", one(&signed_with(PURPOSE)), ENDED),
        ("of a session that was ended", one(ended), ENDED),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_counts_by_the_documented_rules_and_no_others() {
    let host = host_with("").await;
    let value = |browser: &Browser| {
        browser.cookie.as_deref().unwrap().strip_prefix("__Host-session=").unwrap().to_owned()
    };
    let good = value(&Browser::signed_in(&host, "ada").await);
    let mut other = Browser::signed_in(&host, "ada").await;
    let ended = value(&other);
    other.send(&host, "POST", "/logout").await;
    let rows = table(&good, &ended);
    assert!(rows.len() >= 60, "{}", rows.len());
    let runs = host.invocations("sessions", "ok");
    let mut entered = 0;
    for (what, cookies, expected) in rows {
        let fields: Vec<_> = cookies.iter().map(|cookie| ("cookie", &**cookie)).collect();
        let Out(reason) = expected else {
            let reply = host.client().request("GET", "/me", &fields, "").await;
            assert_eq!((reply.status, reply.text()), (200, "ada member"), "{what}");
            entered += 1;
            continue;
        };
        let before = refusals(&host, reason);
        let reply = host.client().request("GET", "/me", &fields, "").await;
        let text = reply.text();
        assert!(text.starts_with("401 Unauthorized: sign in first\nid: "), "{what}: {text}");
        assert_eq!(reply.header("set-cookie"), None, "{what}");
        assert_eq!(refusals(&host, reason), before + 1, "{what}: {reason}");
        // It bars nobody from a page that is for all.
        let reply = host.client().request("GET", "/home", &fields, "").await;
        assert!(reply.text().starts_with("nobody "), "{what}: {}", reply.text());
        entered += 1;
    }
    assert_eq!(host.invocations("sessions", "ok"), runs + entered, "nobody else is run for");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_changed_one_after_the_other() {
    let data = tempfile::tempdir().unwrap();
    let start = |secrets: String| {
        let host = tests::Host::builder().data_dir(data.path()).guest("sessions");
        let host = host.with("grants.sessions = true");
        host.section(&format!("[sessions]\nsecrets = {secrets}")).compiler(crate::TIDEGATE).start()
    };
    let host = start(format!("[{SECRET:?}]")).await;
    let mut old = Browser::signed_in(&host, "ada").await;
    host.stop().await;
    // The new one signs, and both count.
    let host = start(format!("[{OTHER_SECRET:?}, {SECRET:?}]")).await;
    assert_eq!(old.text(&host, "/me").await, "200 ada member");
    let mut new = Browser::signed_in(&host, "bob").await;
    host.stop().await;
    let host = start(format!("[{OTHER_SECRET:?}]")).await;
    assert_eq!(new.text(&host, "/me").await, "200 bob member");
    assert!(old.text(&host, "/me").await.starts_with("401 "));
    assert_eq!(refusals(&host, "session_signature"), 1);
    host.stop().await;
}
