//! What the macros say about mistakes.

#[test]
fn a_mistake_gets_a_message_that_names_the_fix() {
    trybuild::TestCases::new().compile_fail("tests/fail/*.rs");
}
