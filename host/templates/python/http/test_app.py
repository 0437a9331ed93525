"""Runs the consumers natively, without WebAssembly and without a host."""

from tidegate_sdk.testing import TestHost

from app import Consumer


def host() -> TestHost:
    return TestHost(Consumer, "module-name")


def test_the_name_in_the_path_is_greeted() -> None:
    assert host().get("/module-name/Ada").text == "Hello, Ada!\n"


def test_json_is_answered_with_json() -> None:
    answer = host().request("POST", "/module-name", json={"name": "Ada"})
    assert answer.text == '{"text":"Hello, Ada!"}'


def test_a_body_without_a_name_is_refused() -> None:
    assert host().request("POST", "/module-name", json={}).status == 400
