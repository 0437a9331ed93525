//! Which requests the application gets, and what a worker of Tidegate says to them.

use tidegate_sdk::testing::TestHost;

#[test]
fn every_path_is_the_applications_and_without_it_the_answer_says_so() {
    let host = TestHost::new(asgi::consumers());
    for path in ["/", "/chat/lobby/", "/static/a.css"] {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let answer = host.request(method, path).send();
            assert_eq!(answer.status(), 503, "{method} {path}");
        }
        assert!(host.get(path).text().contains("--exclude-channels"));
    }
}
