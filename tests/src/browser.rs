//! A real browser, driven over WebDriver.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use fantoccini::{
    ClientBuilder, Locator,
    actions::{InputSource as _, KeyAction, KeyActions},
    error::CmdError,
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{Client, must};

/// The key, as WebDriver writes it.
pub const ENTER: &str = "\u{e007}";
/// The key, as WebDriver writes it.
pub const ESCAPE: &str = "\u{e00c}";
const TAB: &str = "\u{e004}";

/// A browser driver on a port of its own choice. Killed when dropped.
#[derive(Debug)]
pub struct Driver {
    _child: Child,
    address: SocketAddr,
    profiles: TempDir,
}

impl Driver {
    /// Starts it. It takes the port that it got for IPv4 for IPv6, too, where it may be in use: then
    /// another one chooses again.
    pub async fn start() -> Self {
        must("a driver with a port", async {
            loop {
                if let Some(driver) = Self::start_once().await {
                    return driver;
                }
            }
        })
        .await
    }

    async fn start_once() -> Option<Self> {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver runs; `make test` installs it or says how");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap()?;
            if let Some((_, port)) = line.split_once("was started successfully on port ") {
                break port.trim_end_matches('.').parse().unwrap();
            }
        };
        let profiles = tempfile::tempdir().unwrap();
        Some(Self { _child: child, address: SocketAddr::from(([127, 0, 0, 1], port)), profiles })
    }

    /// A browser with a profile of its own, which shows a page.
    pub async fn browse(&self, profile: &str, page: &str) -> Browser {
        let profile = self.profiles.path().join(profile);
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let options = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(options) = options else { unreachable!() };
        let url = format!("http://{}", self.address);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = must("a browser", builder.capabilities(options).connect(&url)).await.unwrap();
        let pid = &client.capabilities().unwrap()["goog:processID"];
        let pid = Some(pid.as_u64().unwrap().to_string());
        let browser = Browser { client, driver: Client::new(self.address), pid };
        browser.goto(page).await;
        browser
    }
}

/// One window of a browser. Killed when dropped, since it outlives its driver.
#[derive(Debug)]
pub struct Browser {
    client: fantoccini::Client,
    driver: Client,
    /// None once it is closed.
    pid: Option<String>,
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(pid) = &self.pid {
            drop(std::process::Command::new("kill").args(["-s", "KILL", pid]).status());
        }
    }
}

impl Browser {
    /// Goes to a page.
    pub async fn goto(&self, page: &str) {
        self.client.goto(page).await.unwrap();
    }

    /// Runs the body of an asynchronous function in the page, and waits for what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.try_run(script).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The same where the page may change meanwhile: then there is nothing.
    pub async fn try_script(&self, script: &str) -> Option<Value> {
        self.try_run(script).await.ok()
    }

    async fn try_run(&self, script: &str) -> Result<Value, CmdError> {
        let script = format!("return (async () => {{ {script} }})()");
        must("a script ends", self.client.execute(&script, Vec::new())).await
    }

    /// Waits until there is an element.
    pub async fn shows(&self, xpath: &str) {
        let wait = self.client.wait().at_most(Duration::from_secs(20));
        wait.for_element(Locator::XPath(xpath)).await.unwrap_or_else(|error| {
            panic!("{xpath} does not appear: {error}");
        });
    }

    /// Types into the element with an id.
    pub async fn fill(&self, id: &str, text: &str) {
        self.client.find(Locator::Id(id)).await.unwrap().send_keys(text).await.unwrap();
    }

    /// Clicks on the element with an id.
    pub async fn click(&self, id: &str) {
        self.client.find(Locator::Id(id)).await.unwrap().click().await.unwrap();
    }

    /// Presses keys on the element that has the focus: a text, [`ENTER`] or [`ESCAPE`].
    pub async fn press(&self, keys: &str) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for value in keys.chars() {
            actions = actions.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        self.client.perform_actions(actions).await.unwrap();
    }

    /// Presses the tabulator until the focus is on an element with a text.
    pub async fn tab_to(&self, text: &str) {
        must(text, async {
            while self.run("return document.activeElement.textContent.trim();").await != text {
                self.press(TAB).await;
            }
        })
        .await;
    }

    /// Takes the network away, or gives it back.
    pub async fn offline(&self, offline: bool) {
        let conditions = json!({
            "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.emulate("Network.emulateNetworkConditions", &conditions).await;
    }

    /// Shows pages as a telephone does: 390 pixels wide, in dark colours.
    pub async fn as_dark_phone(&self) {
        let size = json!({ "width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true });
        self.emulate("Emulation.setDeviceMetricsOverride", &size).await;
        let dark = json!([{ "name": "prefers-color-scheme", "value": "dark" }]);
        self.emulate("Emulation.setEmulatedMedia", &json!({ "features": dark })).await;
    }

    /// The warnings and errors that the console has got since the last look: where they are from, and their text.
    pub async fn complaints(&self) -> Vec<(String, String)> {
        let entries = self.ask_driver("se/log", &json!({ "type": "browser" })).await;
        let entries = entries.get("value").and_then(Value::as_array).unwrap().iter();
        let text = |entry: &Value, field: &str| {
            entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        entries
            .filter(|entry| ["SEVERE", "WARNING"].contains(&&*text(entry, "level")))
            .map(|entry| (text(entry, "source"), text(entry, "message")))
            .collect()
    }

    async fn emulate(&self, command: &str, params: &Value) {
        let command = json!({ "cmd": command, "params": params });
        self.ask_driver("goog/cdp/execute", &command).await;
    }

    /// Gives the driver a command that is none of WebDriver's own.
    async fn ask_driver(&self, path: &str, command: &Value) -> Value {
        let session = self.client.session_id().await.unwrap().unwrap();
        let path = format!("/session/{session}/{path}");
        let reply = self.driver.request("POST", &path, &[], command.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        serde_json::from_slice(&reply.body).unwrap()
    }

    /// Closes it.
    pub async fn close(mut self) {
        self.client.clone().close().await.unwrap();
        self.pid = None;
    }
}
