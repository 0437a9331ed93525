//! Lines of the crates `log` and `tracing`.

use tidegate_sdk::testing::TestHost;
use tidegate_sdk::{Context, Error, Level, Result, export, http};

#[http("GET /log")]
fn with_log() -> &'static str {
    log::error!("one {}", 1);
    log::warn!("two");
    log::info!(target: "elsewhere", "three");
    log::debug!("not taken");
    log::trace!("not taken");
    "logged"
}

#[http("GET /tracing")]
fn with_tracing(cx: &mut Context) -> Result<&'static str> {
    let span = tracing::info_span!("a span has no line", number = 1);
    let _entered = span.enter();
    tracing::error!(cause = "tide", "one {}", 1);
    cx.info("between");
    tracing::warn!(level = 7_u64, name = "Ada");
    tracing::info!(target: "elsewhere", "three");
    tracing::debug!("not taken");
    Err(Error::failed("a fault does not take lines back"))
}

#[http("GET /level")]
fn level() -> String {
    log::max_level().to_string()
}

export! { with_log, with_tracing, level }

fn lines(host: &TestHost) -> Vec<(Level, String)> {
    host.logs().into_iter().map(|line| (line.level, line.text)).collect()
}

#[test]
fn lines_of_log_have_their_level_and_target() {
    let host = TestHost::new(consumers());
    assert_eq!(host.get("/log").text(), "logged");
    let expected = [
        (Level::Error, "consumers::logging: one 1"),
        (Level::Warn, "consumers::logging: two"),
        (Level::Info, "elsewhere: three"),
    ];
    assert_eq!(lines(&host), expected.map(|(level, text)| (level, text.to_owned())));
    assert_eq!(host.logs()[0].consumer, "with_log");
    assert_eq!(host.get("/level").text(), "INFO");
}

#[test]
fn lines_of_tracing_have_their_level_target_and_fields() {
    let host = TestHost::new(consumers());
    assert_eq!(host.get("/tracing").status(), 500);
    let expected = [
        (Level::Error, "consumers::logging: one 1 cause=\"tide\""),
        (Level::Info, "between"),
        (Level::Warn, "consumers::logging: level=7 name=\"Ada\""),
        (Level::Info, "elsewhere: three"),
    ];
    assert_eq!(lines(&host), expected.map(|(level, text)| (level, text.to_owned())));
}

#[test]
fn a_line_outside_of_consumers_is_nobodys() {
    let host = TestHost::new(consumers());
    assert_eq!(host.get("/log").status(), 200);
    let before = host.logs().len();
    log::info!("from the test");
    tracing::info!("from the test");
    assert_eq!(host.logs().len(), before);
}
