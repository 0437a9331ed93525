//! The example `notify`: signed orders are taken once, a service is asked until there is a result, and pages see it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::UNIX_EPOCH,
};

use serde_json::{Value, json};
use tests::{
    Asked, Client, Driver, Host, HostBuilder, Outside, Process, Socket, example, must, python, root,
};
use tidegate_sdk::SignatureScheme;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::TIDEGATE;

/// The secret of the demo, which `shop.py` reads in `tidegate.toml`.
const SECRET: &str = "a secret of the demo";

/// The grants of the module, whose service is at a URL of a server.
fn grants(server: &str, path: &str) -> String {
    format!(
        "[modules.notify.grants]\nhttp = ['{server}']\nsecrets = {{ ORDERS_SECRET = '{SECRET}' }}\n\
         environment = {{ NOTIFY_URL = 'http://{server}{path}', SHOP_URL = 'http://{server}/orders' }}\n"
    )
}

/// A host that asks a server outside, again after a short time.
fn asking(server: &str, path: &str) -> HostBuilder {
    let host = Host::builder().example("notify").section(&grants(server, path));
    host.section("[layer]\nretry_pause = '10ms'")
}

/// Delivers an order as the shop does: the status and the text of the answer.
async fn deliver(client: Client, id: &str) -> (u16, String) {
    let order = json!({"id": id, "item": "Lamp", "email": "ada@example.com"}).to_string();
    let (name, signature) = SignatureScheme::GitHub.sign(SECRET, order.as_bytes(), UNIX_EPOCH);
    let fields = [("content-type", "application/json"), (name, signature.as_str())];
    let reply = client.request("POST", "/hooks/orders", &fields, order).await;
    (reply.status, reply.text().to_owned())
}

/// The next message to a page.
async fn told(socket: &mut Socket) -> Value {
    serde_json::from_str(&socket.text().await).unwrap()
}

/// A page that watches, and the orders that it got first.
async fn watch(address: SocketAddr) -> (Socket, Value) {
    let mut socket = Socket::open(address, "/notify/watch").await;
    socket.send("orders").await;
    loop {
        // A change may come before the answer.
        if let Some(orders) = told(&mut socket).await.get_mut("orders") {
            return (socket, orders.take());
        }
    }
}

/// The order of the next message that has a result.
async fn result(socket: &mut Socket) -> Value {
    loop {
        let told = told(socket).await;
        let order = told.get("order").unwrap();
        if order.pointer("/notification/state").unwrap() != "asked" {
            return order.clone();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_result_is_shown_live_with_the_number_of_requests() {
    let outside = Outside::start().await;
    let server = outside.address.to_string();
    for (path, attempts, notification) in [
        ("/busy/2", 3, json!({"state": "sent", "id": null})),
        ("/status/422", 1, json!({"state": "refused", "status": 422})),
        ("/busy/9", 6, json!({"state": "refused", "status": 503})),
        ("/cut", 6, json!({"state": "failed", "reason": "broken"})),
    ] {
        let host = asking(&server, path).start().await;
        let (mut page, before) = watch(host.address()).await;
        assert_eq!(before, json!([]));
        assert_eq!(deliver(host.client(), "A-1").await, (202, "taken\n".to_owned()));
        let order = result(&mut page).await;
        assert_eq!((&order["id"], &order["item"]), (&json!("A-1"), &json!("Lamp")));
        assert_eq!(order["attempts"], attempts, "{path}");
        assert_eq!(order["notification"], notification, "{path}");
        assert_eq!(outside.count(path), attempts, "{path}");
        assert_eq!(watch(host.address()).await.1, json!([order]));
        drop(page);
        host.stop().await;
    }
    let asked = outside.asked();
    assert!(
        asked.iter().all(|asked| asked.head.contains("idempotency-key: order-a-1")),
        "{asked:?}"
    );
    let letter = json!({"to": "ada@example.com", "text": "Thank you. Lamp is on its way."});
    let body = |asked: &Asked| serde_json::from_slice::<Value>(&asked.body).unwrap();
    assert!(asked.iter().all(|asked| body(asked) == letter), "{asked:?}");
}

async fn serve(data: &Path, outside: &Outside) -> Process {
    let server = outside.address.to_string();
    let module = format!("[modules.notify]\nfile = {:?}\n", example("notify"));
    let file = data.join("tidegate.toml");
    std::fs::write(&file, module + &grants(&server, "/hold")).unwrap();
    let (data, file) = (data.join("data"), file.display().to_string());
    let arguments = ["--config", &file, "--data-dir", data.to_str().unwrap()];
    Process::serve(TIDEGATE, &arguments).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_outlives_the_process_that_asks_the_service() {
    let (data, outside) = (tempfile::tempdir().unwrap(), Outside::start().await);
    let process = serve(data.path(), &outside).await;
    assert_eq!(deliver(Client::new(process.address), "A-1").await.0, 202);
    outside.until("/hold", 1).await;
    process.signal("KILL").await;
    assert_eq!(process.wait().await, None);
    let process = serve(data.path(), &outside).await;
    // The shop has heard the answer or not; it delivers again.
    let again = deliver(Client::new(process.address), "A-1").await;
    assert_eq!(again, (200, "known\n".to_owned()));
    let (mut page, orders) = watch(process.address).await;
    assert_eq!(orders[0]["notification"]["state"], "asked");
    outside.until("/hold", 2).await;
    outside.release();
    assert_eq!(result(&mut page).await["notification"]["state"], "sent");
    let asked = outside.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        asked.iter().all(|asked| asked.head.contains("idempotency-key: order-a-1")),
        "{asked:?}"
    );
}

fn script(name: &str) -> PathBuf {
    root().join("examples/notify").join(name)
}

/// The servers outside of the demo. Killed when dropped.
struct Service {
    lines: Lines<BufReader<ChildStdout>>,
    address: String,
    _child: Child,
}

impl Service {
    /// Starts them on a free port.
    async fn start(python: &Path) -> Self {
        let mut command = Command::new(python);
        command.arg("-B").arg(script("service.py")).args(["--listen", "127.0.0.1:0"]);
        command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut service = Self { lines, address: String::new(), _child: child };
        let line = service.line().await;
        line.rsplit("//").next().unwrap().clone_into(&mut service.address);
        service
    }

    async fn line(&mut self) -> String {
        must("a line", self.lines.next_line()).await.unwrap().expect("the service runs")
    }
}

/// Has the shop of the demo deliver an order.
async fn shop(python: &Path, host: &Host, id: &str) -> Output {
    let hook = format!("http://{}/hooks/orders", host.address());
    let mut command = Command::new(python);
    command.arg("-B").arg(script("shop.py")).args(["--hook", &hook, "--id", id, "Lamp"]);
    must("the shop is done", command.kill_on_drop(true).output()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_and_the_service_of_the_demo_do_what_its_page_says() {
    let Some(python) = python() else { return };
    let mut service = Service::start(&python).await;
    let host = asking(&service.address, "/notifications").start().await;
    let (mut page, _) = watch(host.address()).await;
    for (status, said) in [(202, "taken"), (200, "known")] {
        let delivered = shop(&python, &host, "A-1").await;
        assert!(delivered.status.success(), "{delivered:?}");
        assert_eq!(String::from_utf8_lossy(&delivered.stdout), format!("{status} A-1: {said}\n"));
    }
    let order = result(&mut page).await;
    assert_eq!(order["notification"], json!({"state": "sent", "id": "n-1"}));
    assert_eq!(order["attempts"], 3);
    for said in [
        "order-A-1: request 1, answered 503",
        "order-A-1: request 2, answered 503",
        "order-A-1: request 3, sent as n-1 to ada@example.com: Thank you. Lamp is on its way.",
    ] {
        assert_eq!(service.line().await, said);
    }
    drop(page);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_an_order_and_its_result_and_its_button_asks_the_shop() {
    let outside = Outside::start().await;
    let host = asking(&outside.address.to_string(), "/hold").start().await;
    let driver = Driver::start().await;
    let browser = driver.browse("ann", &format!("http://{}/notify", host.address())).await;
    browser.shows("//*[@id='status'][.='watching']").await;
    browser.shows("//*[@id='empty'][not(@hidden)]").await;
    assert_eq!(deliver(host.client(), "A-1").await.0, 202);
    browser.shows("//li[@id='order-A-1'][@class='asked'][contains(., 'Lamp')]").await;
    outside.until("/hold", 1).await;
    outside.release();
    browser.shows("//li[@id='order-A-1'][@class='sent'][contains(., '1 request')]").await;
    // The server of the test gives its answer to nobody else's page, but it was asked.
    browser.click("place").await;
    outside.until("/orders", 1).await;
    browser.shows("//*[@id='error'][contains(., 'cannot be reached')]").await;
    browser.close().await;
    host.stop().await;
}
