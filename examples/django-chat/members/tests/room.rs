//! The guard of the room, and the lines that its members hear.

use tidegate_sdk::testing::{TestHost, json};

#[test]
fn who_is_signed_in_speaks_by_name_and_nobody_else_comes_in() {
    let host = TestHost::new(django_members::consumers()).named("members");
    let room = || host.websocket("/ws/members/lobby/");
    assert_eq!(room().connect().unwrap_err().status, 401);
    let [ada, bob] = [("1", "ada"), ("2", "bob")]
        .map(|(id, name)| room().signed_in_with(id, &json!({ "name": name })).connect().unwrap());
    ada.send_json(&json!({ "message": "ahoy" }));
    for member in [&ada, &bob] {
        member.expect_text(r#"{"message":"ada: ahoy"}"#);
    }
    assert_eq!(host.faults(), []);
    assert_eq!(host.drops(), Vec::<String>::new());
}
