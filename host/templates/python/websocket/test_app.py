"""Runs the consumers natively, without WebAssembly and without a host."""

from tidegate_sdk.testing import TestHost

from app import Consumer


def host() -> TestHost:
    return TestHost(Consumer, "module-name")


def test_each_message_is_answered_and_counted() -> None:
    socket = host().websocket("/module-name/socket")
    socket.send("ahoy")
    socket.send("again")
    socket.expect_text("1: you said ahoy")
    socket.expect_text("2: you said again")


def test_connections_are_counted_apart() -> None:
    both = host()
    one = both.websocket("/module-name/socket")
    other = both.websocket("/module-name/socket")
    one.send("ahoy")
    other.send("ahoy")
    one.expect_text("1: you said ahoy")
    other.expect_text("1: you said ahoy")


def test_the_page_is_there() -> None:
    page = host().get("/module-name")
    assert page.status == 200
    assert "<title>module-name</title>" in page.text
