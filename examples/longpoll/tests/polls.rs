//! Several polls at once, which a file of cases cannot describe.

use std::time::Duration;

use tidegate_sdk::testing::TestHost;

fn host() -> TestHost {
    TestHost::new(longpoll::consumers()).named("longpoll")
}

#[test]
fn one_publish_answers_all_polls_of_its_topic() {
    let host = host();
    let tide: Vec<_> = (0..10).map(|_| host.get("/poll/tide")).collect();
    let wind = host.get("/poll/wind");
    assert!(tide.iter().chain([&wind]).all(|poll| poll.is_pending()));
    let published = host.request("POST", "/publish/tide").body("high water").send();
    assert_eq!(published.status(), 202);
    for poll in &tide {
        assert_eq!((poll.status(), poll.text()), (200, "high water".to_owned()));
    }
    assert!(wind.is_pending());
    host.advance(Duration::from_secs(25));
    assert_eq!(wind.status(), 204);
    assert_eq!(host.drops(), Vec::<String>::new());
}

#[test]
fn a_client_that_leaves_is_noticed_and_forgotten() {
    let host = host();
    let polls = [host.get("/poll/tide"), host.get("/poll/tide")];
    assert_eq!(host.group("topic.tide").len(), 2);
    let [one, two] = polls;
    one.leave();
    assert_eq!(host.logs()[0].text, "longpoll: a client left tide");
    assert_eq!(host.group("topic.tide").len(), 1);
    assert!(two.is_pending());
}
