//! Named tokens of processes that share Redis.

use tests::must;

use super::Site;
use crate::api::tokens::made;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_process_counts_in_all_until_one_of_them_revokes_it() {
    let site = Site::new(&[]);
    let [one, other] = [site.node().await, site.node().await];
    let token = made(&one.api(), "ci", "look", None).await;
    let there = other.api().with(token.secret());
    there.done("GET", "modules", "").await;
    assert_eq!(other.api().ask("DELETE", "tokens/ci", "").await.status, 204);
    let here = one.api().with(token.secret());
    must("the token is refused", async {
        while here.ask("GET", "modules", "").await.status != 401 {}
    })
    .await;
    assert_eq!(there.ask("GET", "modules", "").await.status, 401);
}
