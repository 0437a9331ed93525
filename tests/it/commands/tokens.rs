//! `token` against a host that serves.

use super::live::Asked;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_used_listed_and_revoked() {
    let asked = Asked::serve().await;
    let create = ["token", "create", "watch", "--role", "look", "--module", "tide", "--by", "ann"];
    let (status, secret) = asked.tidegate(&create).await;
    assert_eq!(status, 0, "{secret}");
    let secret = secret.trim_end();
    let (status, said) = asked.tidegate(&["modules", "--token", secret]).await;
    assert_eq!(status, 0, "{said}");
    let (status, said) = asked.tidegate(&["drain", "--token", secret]).await;
    assert!(status == 8 && said.contains("the role look, and this asks for admin"), "{said}");
    let (_, said) = asked.tidegate(&["token", "list"]).await;
    let words: Vec<_> = said.lines().nth(1).unwrap().split_whitespace().collect();
    assert!(words.starts_with(&["watch", "look", "tide"]) && words.contains(&"ann"), "{said}");
    assert!(!said.contains(secret), "{said}");
    let (status, said) = asked.tidegate(&create).await;
    assert!(status == 8 && said.contains("choose another name"), "{said}");
    let said = asked.tidegate(&["token", "revoke", "watch"]).await;
    assert_eq!(said, (0, "watch is revoked\n".to_owned()));
    let (status, said) = asked.tidegate(&["modules", "--token", secret]).await;
    assert!(status == 8 && said.contains("it is revoked or over"), "{said}");
    let (status, said) = asked.tidegate(&["token", "create", "a", "--role", "root"]).await;
    assert!(status == 2 && said.contains("look, send, deploy and admin"), "{said}");
}
