"""The code in Python of the project's chapters runs as it stands there."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import pytest
from examples import REPOSITORY

from tidegate_sdk.testing import Denied, TestHost


def hosts(name: str, monkeypatch: pytest.MonkeyPatch) -> list[TestHost]:
    """A host for each block of a page, in order."""
    text = (REPOSITORY / "docs" / name).read_text(encoding="utf-8")
    found = []
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)):
        module = ModuleType(f"{name.partition('.')[0]}_{number}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(block, f"{name}, block {number + 1}", "exec"), module.__dict__)
        found.append(TestHost(module.Consumer))
    return found


def test_the_chapters_of_consumers_do_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    tide, thumbnails, visits = hosts("consumers.md", monkeypatch)
    watch = tide.websocket("/tide")
    assert tide.request("POST", "/tide/3").text == "noted\n"
    watch.expect_json({"level": 3})
    thumbnails.send("thumbnails.make", {"name": "whale"})
    made = thumbnails.data.get("thumbnail:whale")
    assert (len(made["by"]), made["attempt"]) == (32, 1)
    assert [visits.request("POST", "/visits/tea").text for _ in range(2)] == ["1", "2"]


def test_the_chapter_of_users_does_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    room, inbox = hosts("users.md", monkeypatch)
    assert room.get("/").text == "Hello! Please sign in.\n"
    assert room.get("/", signed_in="ada", claims={"name": "Ada"}).text == "Hello Ada!\n"
    with pytest.raises(Denied):
        room.websocket("/room")
    ada = room.websocket("/room", signed_in="ada", claims={"name": "Ada"})
    ada.send("high tide")
    ada.expect_text("Ada: high tide")
    assert room.request("POST", "/clear", signed_in="bob", claims={"role": "reader"}).status == 403
    assert room.request("POST", "/clear", signed_in="ada", claims={"role": "owner"}).text == "cleared by ada\n"
    tabs = [inbox.websocket("/inbox", signed_in="ada") for _ in range(2)]
    assert inbox.request("POST", "/parcels/ada").text == "2 tabs are open\n"
    assert inbox.request("POST", "/sign-out-everywhere", signed_in="ada").status == 200
    for tab in tabs:
        tab.expect_text("a parcel has come")
        tab.expect_close(4000)
