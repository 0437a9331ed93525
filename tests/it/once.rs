//! Work counts once, whatever is killed.

use std::{net::SocketAddr, path::Path};

use tests::{Client, Process, background, guest, must};
use tokio::task::JoinHandle;

use crate::TIDEGATE;

/// Clients that order at the same time.
const CLIENTS: usize = 4;

/// Orders until the server is gone. Returns the orders that were taken, and the one that nobody knows of.
async fn order(address: SocketAddr, client: usize, round: usize) -> (Vec<String>, String) {
    let mut taken = Vec::new();
    for number in 0.. {
        let id = format!("{client}-{round}-{number}");
        match Client::new(address).try_request("POST", &format!("/order/{id}")).await {
            Some(reply) if reply.status == 200 => taken.push(id),
            _ => return (taken, id),
        }
    }
    unreachable!("numbers do not end")
}

/// Waits until all work is done. Each order that was taken counts once, and of the others each as a whole or
/// not at all.
pub(crate) async fn assert_each_counts_once(
    address: SocketAddr,
    taken: &[String],
    unknown: &[String],
) {
    let client = Client::new(address);
    must("all work is done", async {
        loop {
            let totals = client.get("/totals").await.text().to_owned();
            let counts: Vec<&str> = totals.split(' ').collect();
            if let [ordered, packed, mailed] = counts[..]
                && ordered == packed
                && packed == mailed
            {
                return;
            }
        }
    })
    .await;
    let mut counted = taken.len();
    for id in taken {
        assert_eq!(client.get(&format!("/order/{id}")).await.text(), "true 1 1", "{id}");
    }
    for id in unknown {
        let text = client.get(&format!("/order/{id}")).await.text().to_owned();
        assert!(["true 1 1", "false 0 0"].contains(&text.as_str()), "{id}: {text}");
        counted += usize::from(text.starts_with("true"));
    }
    assert_eq!(client.get("/totals").await.text(), format!("{counted} {counted} {counted}"));
}

async fn serve(data: &Path) -> Process {
    let (data, module) = (data.to_str().unwrap(), guest("once"));
    let module = format!("once={}", module.display());
    Process::serve(TIDEGATE, &["--data-dir", data, "--module", &module]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_job_counts_once_through_kills() {
    let data = tempfile::tempdir().unwrap();
    let (mut taken, mut unknown) = (Vec::new(), Vec::new());
    for round in 0..5 {
        let process = serve(data.path()).await;
        let address = process.address;
        let clients: Vec<JoinHandle<_>> =
            (0..CLIENTS).map(|client| background(order(address, client, round))).collect();
        let client = Client::new(address);
        let before = taken.len();
        must("some work is done", async {
            loop {
                let totals = client.get("/totals").await.text().to_owned();
                let mailed = totals.rsplit(' ').next().and_then(|count| count.parse().ok());
                if mailed.is_some_and(|mailed: usize| mailed >= before + 10) {
                    return;
                }
            }
        })
        .await;
        process.signal("KILL").await;
        assert_eq!(process.wait().await, None);
        for client in clients {
            let (orders, lost) = must("a client ends", client).await.unwrap();
            taken.extend(orders);
            unknown.push(lost);
        }
    }
    let process = serve(data.path()).await;
    assert_each_counts_once(process.address, &taken, &unknown).await;
}
