//! The page of the admin listener: an operator looks at modules and records, and changes what is deployed.

use serde_json::json;
use tests::{Browser, Driver, ENTER, ESCAPE, Host, guest, run};

use crate::{
    TIDEGATE,
    api::{versioned, written},
};

/// Opens the page, and is let in.
pub(super) async fn entered(driver: &Driver, host: &Host) -> Browser {
    let browser = driver.browse("ann", &format!("http://{}/", host.app().admin_address())).await;
    browser.shows("//button[@id='enter']").await;
    let token = host.admin().authorization();
    browser.fill("token", token.strip_prefix("Bearer ").unwrap()).await;
    browser.fill("user", "Ann Åse").await;
    browser.click("enter").await;
    browser.shows("//h1[.='Overview']").await;
    browser
}

/// Goes to a view by its link.
pub(super) async fn view(browser: &Browser, name: &str) {
    browser.run(&format!("document.querySelector('nav a[href=\"#{name}\"]').click();")).await;
    browser.shows(&format!("//nav//a[@href='#{name}'][@aria-current='page']")).await;
}

/// Ends, if the console has nothing to complain of.
pub(super) async fn done(browser: Browser, host: Host) {
    assert_eq!(browser.complaints().await, []);
    browser.close().await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_deploys_files_and_rolls_back_by_the_page_alone() {
    let host = Host::builder().start().await;
    let directory = tempfile::tempdir().unwrap();
    let driver = Driver::start().await;
    let browser = driver.browse("ann", &format!("http://{}/", host.app().admin_address())).await;
    browser.shows("//p[@id='ready'][.='ready']").await;
    browser.fill("token", "guess").await;
    browser.click("enter").await;
    browser.shows("//*[@id='refused'][contains(., 'not the token of this host')]").await;
    let complaints = browser.complaints().await;
    assert!(complaints.iter().all(|(source, _)| source == "network"), "{complaints:?}");
    browser.close().await;

    let browser = entered(&driver, &host).await;
    browser.shows("//*[@id='look'][contains(., 'No module is deployed')]").await;
    view(&browser, "modules").await;
    browser.shows("//main//pre[contains(., 'tidegate deploy hello FILE')]").await;
    // A file that is no module: the host says why, and the dialog stays.
    let text = directory.path().join("v.wasm");
    std::fs::write(&text, "no module").unwrap();
    browser.click("deploy").await;
    browser.fill("deploy-file", text.to_str().unwrap()).await;
    browser.click("yes").await;
    browser.shows("//dialog//*[@role='alert'][string-length(.) > 20]").await;
    browser.press(ESCAPE).await;
    browser.complaints().await;
    assert_eq!(host.admin().done("GET", "modules", "").await["modules"], json!([]));

    browser.click("deploy").await;
    let first = written(directory.path(), "versioned", 1);
    browser.fill("deploy-file", first.to_str().unwrap()).await;
    browser.run("document.getElementById('deploy-name').value = 'v';").await;
    browser.fill("deploy-note", "the first").await;
    browser.click("yes").await;
    browser.shows("//h1[.='v']").await;
    browser.shows("//*[@id='notices'][contains(., 'v: version 1 is active.')]").await;
    browser.shows("//tr[th='1'][td='Ann Åse'][td='the first'][td='active']").await;
    assert_eq!(browser.run("return document.activeElement.tagName;").await, "H1");

    // What somebody else deploys appears without a reload.
    host.admin().done("PUT", "modules/v", versioned("versioned", 2)).await;
    browser.shows("//tr[th='2'][td='tester'][td='active']").await;
    browser.click("rollback").await;
    browser.shows("//dialog[@open]//h2[.='Roll v back?']").await;
    assert_eq!(browser.run("return document.activeElement.id;").await, "no", "safe by default");
    browser.press(ESCAPE).await;
    browser.shows("//body[not(.//dialog)]").await;
    assert_eq!(host.admin().module("v").await["active_version"], 2);
    browser.click("rollback").await;
    browser.click("yes").await;
    browser.shows("//tr[th='1'][td='active']").await;
    assert_eq!(host.admin().module("v").await["active_version"], 1);
    browser.click("activate-2").await;
    browser.click("yes").await;
    browser.shows("//tr[th='2'][td='active']").await;
    browser.click("drop-1").await;
    browser.click("yes").await;
    browser.shows("//*[@id='notices'][contains(., 'v: version 1 is deleted.')]").await;
    assert_eq!(host.admin().module("v").await["versions"], 1);
    browser.click("delete").await;
    browser.click("yes").await;
    browser.shows("//*[@id='notices'][contains(., 'v is deleted.')]").await;
    browser.shows("//main//p[contains(., 'No module is deployed yet')]").await;
    done(browser, host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_fails_on_probation_is_found_with_its_fault() {
    let host = Host::builder().start().await;
    let api = host.admin();
    api.done("PUT", "modules/v", versioned("versioned", 1)).await;
    let driver = Driver::start().await;
    let browser = entered(&driver, &host).await;
    browser.shows("//*[@id='look'][.='Nothing.']").await;
    view(&browser, "modules").await;
    let mut socket = host.websocket("/count").await;
    api.done("PUT", "modules/v", versioned("versioned-traps", 2)).await;
    browser.shows("//tr[th='v'][contains(., 'on probation')]").await;
    for count in 1..=8 {
        socket.send("a").await;
        assert_eq!(socket.text().await, format!("1:a:{count}"));
    }
    browser.shows("//tr[th='v'][contains(., 'rolled back')]").await;
    view(&browser, "overview").await;
    let fault = "contains(., 'version 2') and contains(., 'panicked at ')";
    browser.shows(&format!("//*[@id='look']//li[contains(., 'rolled back') and {fault}]")).await;
    browser.run("document.querySelector('#look a[href=\"#modules/v\"]').click();").await;
    browser.shows(&format!("//*[@id='fault'][{fault}]")).await;
    browser.run("location.hash = 'records?module=v&outcome=fault';").await;
    browser.shows("//*[@id='records']/tr[5][contains(., 'trap')]").await;
    browser.run("document.querySelector('#records button').click();").await;
    browser.shows("//dialog//*[@id='record-fault'][contains(., 'panicked at ')]").await;
    assert_eq!(browser.run("return document.querySelectorAll('#records tr').length;").await, 5);
    done(browser, host).await;
}

/// The guest `forge`, whose lines and faults have other text of 27 bytes.
fn forging(text: &[u8; 27]) -> Vec<u8> {
    let mut wasm = std::fs::read(guest("forge")).unwrap();
    let before = b"a\nERROR forged\rERROR forged";
    let mut places = 0;
    while let Some(at) = wasm.windows(before.len()).position(|bytes| bytes == before) {
        wasm.splice(at..at + before.len(), *text);
        places += 1;
    }
    assert!(places > 0, "the guest has its text in one piece");
    wasm
}

#[tokio::test(flavor = "multi_thread")]
async fn what_modules_and_operators_say_stays_text() {
    let host = Host::builder().start().await;
    let api = host.admin();
    let authorization = api.authorization();
    let fields = [
        ("authorization", &*authorization),
        ("x-tidegate-user", "<img src=x onerror=\"window.forged=1\">"),
        ("x-tidegate-note", "<script>window.forged=1</script>"),
    ];
    let wasm = forging(b"<img src=x onerror=forged()>".first_chunk().unwrap());
    let deployed = api.client().request("PUT", "/api/v1/modules/f", &fields, wasm).await;
    assert_eq!(deployed.status, 201, "{}", deployed.text());
    let driver = Driver::start().await;
    let browser = entered(&driver, &host).await;
    view(&browser, "records").await;
    browser.shows("//*[@id='stream'][contains(., 'Following')]").await;
    // It appears as it runs.
    assert_eq!(host.get("/log").await.status, 200);
    browser.shows("//*[@id='records']/tr[1][td='log'][contains(., 'ok')]").await;
    browser.run("document.querySelector('#records button').click();").await;
    browser.shows("//*[@id='record-log']/li[contains(., '<img src=x onerror=forged(')]").await;
    browser.click("close").await;
    for path in ["/print", "/fail", "/panic"] {
        host.get(path).await;
        let consumer = path.trim_start_matches('/');
        browser.shows(&format!("//*[@id='records']/tr[1][td='{consumer}']")).await;
        browser.run("document.querySelector('#records button').click();").await;
        browser.shows("//dialog[contains(., '<img src=x onerror=forged(')]").await;
        browser.click("close").await;
    }
    browser.run("location.hash = 'modules/f';").await;
    let said = "td[contains(., '<img src=x onerror=')] and td='<script>window.forged=1</script>'";
    browser.shows(&format!("//tr[{said}]")).await;
    view(&browser, "overview").await;
    browser.shows("//*[@id='look']//li[contains(., 'of the last')]").await;
    let made = "return [window.forged ?? null, document.images.length, document.scripts.length];";
    assert_eq!(browser.run(made).await, json!([null, 0, 1]));
    // No other code runs, however it comes in: the policy refuses it.
    browser
        .run(
            "const script = document.createElement('script'); script.textContent = \
             'window.forged = 1'; document.body.append(script);",
        )
        .await;
    assert_eq!(browser.run("return window.forged ?? null;").await, json!(null));
    let complaints = browser.complaints().await;
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].1.contains("Content Security Policy"), "{complaints:?}");
    done(browser, host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_used_by_keyboard_alone_on_a_dark_phone() {
    let host = Host::builder().example("hello").guest("panic").start().await;
    host.get("/hello/ann").await;
    host.get("/run").await;
    let driver = Driver::start().await;
    let browser = driver.browse("ann", "about:blank").await;
    browser.as_dark_phone().await;
    browser.goto(&format!("http://{}/", host.app().admin_address())).await;
    browser.shows("//button[@id='enter']").await;
    let token = host.admin().authorization();
    browser.press(token.strip_prefix("Bearer ").unwrap()).await;
    browser.press(ENTER).await;
    browser.shows("//h1[.='Overview']").await;
    let fits = "return document.documentElement.scrollWidth <= 390 && innerWidth === 390;";
    let ground = "return getComputedStyle(document.body).backgroundColor;";
    assert_eq!(browser.run(ground).await, "rgb(14, 22, 26)");
    for (name, there) in [
        ("Modules", "//tr[th='hello']"),
        ("Records", "//*[@id='records']/tr[2]"),
        ("Routes", "//tr[contains(th, '/hello')]"),
        ("Overview", "//tr[th='panic']"),
    ] {
        browser.tab_to(name).await;
        let outline = "return getComputedStyle(document.activeElement).outlineStyle;";
        assert_eq!(browser.run(outline).await, "solid", "the focus is seen on {name}");
        browser.press(ENTER).await;
        browser.shows(&format!("//h1[.='{name}']")).await;
        browser.shows(there).await;
        assert_eq!(browser.run(fits).await, true, "{name}");
    }
    browser.tab_to("Modules").await;
    browser.press(ENTER).await;
    browser.tab_to("Deploy a file").await;
    browser.press(ENTER).await;
    browser.shows("//dialog[@open][@aria-labelledby]").await;
    assert_eq!(browser.run(fits).await, true, "the dialog");
    browser.tab_to("Cancel").await;
    browser.press(ESCAPE).await;
    assert_eq!(browser.run("return document.activeElement.id;").await, "deploy");
    browser.tab_to("panic").await;
    browser.press(ENTER).await;
    browser.shows("//h1[.='panic']").await;
    browser.shows("//tr[th='1'][contains(., 'active')]").await;
    assert_eq!(browser.run(fits).await, true, "a module");
    // Whatever can be pressed says its name.
    let nameless = "return [...document.querySelectorAll('a, button, input, select')].filter((it) => \
         !(it.textContent.trim() || it.getAttribute('aria-label') || it.labels?.length)).length;";
    assert_eq!(browser.run(nameless).await, 0);
    done(browser, host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_come_fast_are_followed_without_end() {
    let host = Host::builder().example("hello").start().await;
    let driver = Driver::start().await;
    let browser = entered(&driver, &host).await;
    view(&browser, "records").await;
    browser.shows("//*[@id='stream'][contains(., 'Following')]").await;
    let sizes = "return document.querySelectorAll('*').length;";
    for _ in 0..300 {
        assert_eq!(host.get("/hello/ann").await.status, 200);
    }
    browser.shows("//*[@id='records']/tr[200]").await;
    let before = browser.run(sizes).await;
    for _ in 0..300 {
        assert_eq!(host.get("/hello/ann").await.status, 200);
    }
    let last = host.app().records().search(&tidegate::worker::Filter::default(), 1)[0].id;
    browser.shows(&format!("//*[@id='records']/tr[1][@data-id='{last}']")).await;
    assert_eq!(browser.run(sizes).await, before, "as many elements as before");
    // The stream ends with the view: the page holds no place of it.
    view(&browser, "routes").await;
    done(browser, host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_file_is_deployed_by_the_page_where_the_host_asks_for_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("counter.wasm");
    std::fs::copy(guest("counter"), &file).unwrap();
    let file = file.to_str().unwrap();
    let tidegate = async |arguments: &[&str]| {
        let output = run(TIDEGATE, directory.path(), arguments).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let made = tidegate(&["signing-key", "ops.key", "--no-password"]).await;
    let signers = made.lines().last().unwrap();
    tidegate(&["sign", file, "--key", "ops.key", "--comment", "für die Flut"]).await;
    let host = Host::builder().section(&format!("[upload]\n{signers}")).start().await;
    let driver = Driver::start().await;
    let browser = entered(&driver, &host).await;
    view(&browser, "modules").await;
    browser.click("deploy").await;
    browser.fill("deploy-file", file).await;
    browser.click("yes").await;
    browser.shows("//dialog//*[@role='alert'][contains(., 'it is not signed')]").await;
    browser.fill("deploy-signature", &format!("{file}.minisig")).await;
    browser.click("yes").await;
    browser.shows("//h1[.='counter']").await;
    browser.shows("//table//td[contains(., 'signed by ')]").await;
    browser.complaints().await;
    done(browser, host).await;
}
