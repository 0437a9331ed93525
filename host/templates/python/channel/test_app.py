"""Runs the consumers natively, without WebAssembly and without a host."""

from tidegate_sdk.testing import TestHost

from app import Consumer


def host() -> TestHost:
    return TestHost(Consumer, "module-name")


def test_a_job_is_accepted_and_done() -> None:
    at = host()
    job = {"text": "high water at noon"}
    answer = at.request("POST", "/module-name", json=job)
    assert (answer.status, answer.text) == (202, "it will be done\n")
    assert len(at.messages("module-name.count")) == 1
    assert at.logs[0].text == "4 words"
    assert at.faults == []


def test_what_is_no_job_is_refused() -> None:
    at = host()
    assert at.request("POST", "/module-name", body="many").status == 415
    assert at.messages("module-name.count") == []
