//! Several sections of `auth`: users of several issuers, modules that take some of them, sessions of a Django site.

use serde_json::{Value, json};
use tests::{Host, Issuer, SECRET, Socket, auth_section, django_session, sessions_section, token};
use tidegate::telemetry::ByReason;

use crate::TIDEGATE;

/// Whether the answers to two requests are those of one consumer that saw a user.
async fn ask(host: &Host, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let reply = host.client().request("GET", path, fields, "").await;
    (reply.status, if reply.status == 200 { reply.text().to_owned() } else { String::new() })
}

fn refusals(host: &Host, reason: &'static str) -> u64 {
    host.app().metrics().auth_refusals.get_or_create(&ByReason { reason }).get()
}

/// A login with a secret, and staff who sign in elsewhere.
struct Stage {
    host: Host,
    staff: Issuer,
    _keys: tempfile::TempDir,
}

impl Stage {
    async fn new(module: &str) -> Self {
        let (staff, keys) = (Issuer::new("one"), tempfile::tempdir().unwrap());
        let file = keys.path().join("staff.jwks");
        std::fs::write(&file, staff.jwks()).unwrap();
        let web = auth_section("issuer = \"https://shop.example\"\ncookie = \"id\"\n");
        let section = format!(
            "[auth.staff]\nalgorithms = [\"EdDSA\"]\njwks = {{ file = {:?} }}\n\
             issuer = \"https://staff.example\"\naudience = []\nuser_prefix = \"staff:\"\n",
            file.display().to_string()
        );
        let host = Host::builder().guest("users").with(module).section(&web).section(&section);
        let host = host.compiler(TIDEGATE).start().await;
        Self { host, staff, _keys: keys }
    }

    fn web_token(id: &str) -> String {
        token(id, &json!({ "iss": "https://shop.example", "role": "owner" }))
    }

    fn staff_token(&self, id: &str) -> String {
        self.staff.token(id, &json!({ "iss": "https://staff.example", "role": "owner" }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_two_issuers_are_told_apart() {
    let stage = Stage::new("").await;
    let host = &stage.host;
    let bearer = |token: String| format!("Bearer {token}");
    let (web, staff) = (bearer(Stage::web_token("ada")), bearer(stage.staff_token("ada")));
    let me =
        async |authorization: &str| ask(host, "/me", &[("authorization", authorization)]).await;
    assert_eq!(me(&web).await, (200, "ada owner true".to_owned()));
    assert_eq!(me(&staff).await, (200, "staff:ada owner true".to_owned()));
    // Nobody makes a user of the staff with the secret of the shop.
    let forged = bearer(token("ada", &json!({ "iss": "https://staff.example" })));
    assert_eq!(me(&forged).await.0, 401);
    assert_eq!(refusals(host, "algorithm"), 1);
    assert_eq!(me(&bearer(Stage::web_token("staff:ada"))).await.0, 401);
    assert_eq!(refusals(host, "foreign_id"), 1);
    assert_eq!(me(&bearer(token("ada", &json!({})))).await.0, 401);
    assert_eq!(refusals(host, "issuer"), 1);
    // The cookie is that of the shop: a token of the staff does not count there.
    let cookie = format!("id={}", Stage::web_token("ada"));
    assert_eq!(ask(host, "/home", &[("cookie", &cookie)]).await.1, "ada owner true \"\"");
    let cookie = format!("id={}", stage.staff_token("ada"));
    assert_eq!(ask(host, "/home", &[("cookie", &cookie)]).await.1, "nobody \"\"");
    assert_eq!(refusals(host, "place"), 1);
    let mut room =
        Socket::try_open(host.address(), "/room", &[("authorization", &staff)]).await.unwrap();
    room.send("hi").await;
    assert!(room.text().await.starts_with("staff:ada owner true: hi"));
    drop(room);
    stage.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_takes_users_of_the_sections_that_it_names() {
    let stage = Stage::new("auth = [\"staff\"]").await;
    let host = &stage.host;
    let web = format!("Bearer {}", Stage::web_token("ada"));
    let staff = format!("Bearer {}", stage.staff_token("ada"));
    let cookie = format!("id={}", Stage::web_token("ada"));
    let statuses = async || {
        let me = async |field| ask(host, "/me", &[field]).await.0;
        (
            me(("authorization", &*web)).await,
            me(("authorization", &*staff)).await,
            me(("cookie", &*cookie)).await,
        )
    };
    assert_eq!(statuses().await, (401, 200, 401));
    assert_eq!(refusals(host, "module"), 2);
    // A cookie that does not count bars no public page.
    assert_eq!(ask(host, "/home", &[("cookie", &cookie)]).await.1, "nobody \"\"");
    let refused = Socket::try_open(host.address(), "/room", &[("authorization", &*web)]).await;
    assert_eq!(refused.unwrap_err().status().as_u16(), 401);
    for (setting, expected) in [
        (json!(["web"]), (200, 401, 200)),
        (json!([]), (401, 401, 401)),
        (Value::Null, (401, 200, 401)),
    ] {
        let settings = json!({ "auth": setting }).to_string();
        host.admin().done("PATCH", "modules/users/settings", settings).await;
        assert_eq!(statuses().await, expected, "{setting}");
    }
    stage.host.stop().await;
}

const SITE: &str = "the secret of a site, which Django makes of 50 characters";

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_a_django_site_signs_in_here() {
    let section =
        format!("[auth.site]\ndjango_secrets = [{SECRET:?}, {SITE:?}]\nuser_prefix = \"site:\"\n");
    let tokens = auth_section("issuer = \"https://shop.example\"\n");
    let host = Host::builder().guest("users").section(&section).section(&tokens);
    let host = host.compiler(TIDEGATE).start().await;
    let session = |id: &str| {
        let session = json!({ "_auth_user_id": id, "_auth_user_hash": "0f", "role": "owner" });
        format!("sessionid={}", django_session(SITE, &session))
    };
    let ada = session("7");
    assert_eq!(ask(&host, "/me", &[("cookie", &ada)]).await, (200, "site:7 owner true".to_owned()));
    // The token that somebody gives counts alone.
    let token = format!("Bearer {}", Stage::web_token("bob"));
    let both = [("cookie", &*ada), ("authorization", &*token)];
    assert_eq!(ask(&host, "/me", &both).await, (200, "bob owner true".to_owned()));
    let nobody = format!("sessionid={}", django_session(SITE, &json!({ "basket": [1] })));
    let forged = format!(
        "sessionid={}",
        django_session("another secret of 32 bytes or so", &json!({ "_auth_user_id": "7" }))
    );
    let twice = format!("{ada}; {}", session("8"));
    for (cookie, reason) in [(&nobody, "missing"), (&forged, "signature"), (&twice, "several")] {
        let before = refusals(&host, reason);
        assert_eq!(ask(&host, "/me", &[("cookie", cookie)]).await.0, 401, "{cookie}");
        assert_eq!(refusals(&host, reason), before + 1, "{reason}");
        // Nor does it bar a page for everybody.
        assert_eq!(ask(&host, "/home", &[("cookie", cookie)]).await.1, "nobody \"\"");
    }
    let other_site = [("cookie", &*ada), ("sec-fetch-site", "cross-site")];
    assert_eq!(host.client().request("POST", "/me", &other_site, "").await.status, 403);
    let mut room = Socket::try_open(host.address(), "/room", &[("cookie", &*ada)]).await.unwrap();
    room.send("hi").await;
    assert!(room.text().await.starts_with("site:7 owner true: hi"));
    drop(room);
    host.stop().await;
}

/// A host that keeps sessions beside those of a Django site, with settings of the module `sessions`.
async fn host_with_both(module: &str) -> Host {
    let site = format!("[auth.site]\ndjango_secrets = {SITE:?}\nuser_prefix = \"site-\"\n");
    let sessions = sessions_section("secure = false\n");
    let host = Host::builder().guest("sessions").with("grants.sessions = true").with(module);
    host.section(&site).section(&sessions).compiler(TIDEGATE).start().await
}

/// Signs somebody in, and returns the cookie.
async fn sign_in(host: &Host, user: &str) -> String {
    let reply = host.client().request("POST", &format!("/login/{user}/member"), &[], "").await;
    assert_eq!((reply.status, reply.text()), (200, "done"));
    reply.header("set-cookie").unwrap().split_once(';').unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_of_django_that_does_not_count_bars_no_session_of_the_host() {
    let host = host_with_both("").await;
    let ada = sign_in(&host, "ada").await;
    let site = |cookie: &str| format!("sessionid={cookie}; {ada}");
    let of_database = site("k3v9v4z0e4q8n1x6m2b7c5a8d0f9g3h1");
    let forged = django_session(SECRET, &json!({ "_auth_user_id": "7" }));
    let forged = site(&forged);
    for cookie in [&ada, &of_database, &forged] {
        let (status, text) = ask(&host, "/me", &[("cookie", cookie)]).await;
        assert!(status == 200 && text.starts_with("ada "), "{cookie}: {status} {text}");
    }
    // One that counts does.
    let both = site(&django_session(SITE, &json!({ "_auth_user_id": "7" })));
    let (_, text) = ask(&host, "/me", &[("cookie", &both)]).await;
    assert!(text.starts_with("site-7 "), "{text}");
    // Nobody signs in as a user of the site.
    let like = sign_in(&host, "site-7").await;
    assert_eq!(ask(&host, "/me", &[("cookie", &like)]).await.0, 401);
    assert_eq!(refusals(&host, "foreign_id"), 1);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_names_sections_takes_users_of_sessions_where_it_names_them() {
    let seven = format!("sessionid={}", django_session(SITE, &json!({ "_auth_user_id": "7" })));
    for (module, of_site, of_session) in [
        ("auth = [\"site\"]", 200, 401),
        ("auth = [\"sessions\"]", 401, 200),
        ("auth = [\"site\", \"sessions\"]", 200, 200),
        ("auth = []", 401, 401),
    ] {
        let host = host_with_both(module).await;
        let ada = sign_in(&host, "ada").await;
        for (cookie, status) in [(&seven, of_site), (&ada, of_session)] {
            assert_eq!(
                ask(&host, "/me", &[("cookie", cookie)]).await.0,
                status,
                "{module} {cookie}"
            );
        }
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_a_django_session_is_closed_when_the_session_ends() {
    let section = format!(
        "[auth.site]\ndjango_secrets = {SITE:?}\ndjango_cookie = \"sid\"\ndjango_age = \"1s\"\n"
    );
    let host = Host::builder().guest("users").section(&section).compiler(TIDEGATE).start().await;
    let cookie = format!("sid={}", django_session(SITE, &json!({ "_auth_user_id": "7" })));
    let mut room =
        Socket::try_open(host.address(), "/room", &[("cookie", &*cookie)]).await.unwrap();
    assert_eq!(room.closed().await, (4401, "the token has expired".to_owned()));
    drop(room);
    host.stop().await;
}
