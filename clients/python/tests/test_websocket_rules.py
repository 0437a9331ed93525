"""The rules of the client for WebSockets, by the tables that hold for all clients."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace
from typing import Any

import pytest
from tables import table

from tidegate import ConfigError, InvalidMessage, TidegateError
from tidegate.websocket import Options, SendError, Socket, advice
from tidegate.websocket.delays import delay
from tidegate.websocket.options import Given
from tidegate.websocket.outgoing import Outgoing
from tidegate.websocket.positions import GROUPS_MAX, Positions
from tidegate.websocket.presence import Presence, decode
from tidegate.websocket.protocols import offered
from tidegate.websocket.resume import Resume


def named(cases: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


def placed(group: str, position: str) -> str:
    told = {"tidegate": "message", "group": group, "position": position, "text": ""}
    return json.dumps(told, separators=(",", ":"))


def test_each_close_code_has_its_advice() -> None:
    for expected, codes in table("codes").items():
        for code in codes:
            assert advice(code) == expected, code


def test_each_delay_is_drawn_from_its_span() -> None:
    cases = table("delays")
    settings = SimpleNamespace(**cases["settings"])
    for case in cases["cases"]:
        # Only a page is quiet.
        if not case.get("quiet"):
            drawn = delay(
                case["advice"], case["failures"], settings, lambda case=case: case["drawn"]
            )
            assert drawn == case["delay"], case


def test_each_frame_opens_to_its_group_position_and_content() -> None:
    for case in table("frames"):
        positions = Positions()
        opened, expected = positions.open(case["frame"]), case["opens"]
        if expected is None:
            assert opened is None, case
            continue
        assert opened is not None, case
        assert positions.get(opened.group) == opened.position
        told: dict[str, Any] = {"group": opened.group, "position": opened.position}
        if isinstance(opened.data, bytes):
            told["bytes"] = list(opened.data)
        elif opened.data is not None:
            told["text"] = opened.data
        else:
            told["gap"] = opened.gap
        assert told == expected
    assert Positions().open(b'{"tidegate":') is None
    assert Positions().open('{"tidegate":' + "[" * 100_000) is None


@named(table("addresses"))
def test_an_address_has_the_positions_of_all_groups(case: dict[str, Any]) -> None:
    positions = Positions()
    for group, position in case["heard"]:
        positions.open(placed(group, position))
    for group in case.get("forget", []):
        positions.forget(group)
    assert positions.address(case["url"]) == case["address"]


def test_so_many_groups_are_kept_those_heard_of_last() -> None:
    positions = Positions()
    for number in range(60):
        positions.open(placed(f"g.{number}", "e-1"))
        positions.open(placed("g.0", "e-1"))
    address = positions.address("ws://host/")
    assert address.count("after=") == GROUPS_MAX
    assert address.startswith("ws://host/?after=g.11%3A")
    assert address.endswith("&after=g.0%3Ae-1")


def test_tokens_are_entries_of_the_subprotocols() -> None:
    cases = table("protocols")
    for case in cases["cases"]:
        given = case["protocols"], case["token"], case["resume"]
        assert offered(*given) == case["offered"]
    for wrong in cases["wrong_tokens"]:
        with pytest.raises(ConfigError, match="a token is a text of"):
            offered([], wrong)


@named(table("presence")["cases"])
def test_a_collection_follows_the_frames_of_its_group(case: dict[str, Any]) -> None:
    presence = Presence()
    for step in case["steps"]:
        change = None
        if "tell" in step:
            change = presence.receive(step["tell"])
        elif "lose" in step:
            presence.lose()
        else:
            presence.find(step["find"] == "resumed")
        assert presence.members == step["members"], step
        assert presence.count == step.get("count", presence.count), step
        assert presence.listed == step.get("listed", presence.listed), step
        assert presence.current == step.get("current", True), step
        told = (
            None
            if change is None
            else [sorted(it) for it in (change.joined, change.updated, change.left)]
        )
        assert told == step.get("change"), step


def test_frames_of_presence_are_told_from_messages() -> None:
    for case in table("presence")["decodes"]:
        told = decode(case["frame"])
        assert (None if told is None else told["group"]) == case["group"], case
    frame = {"group": "m.g", "version": 1, "count": 1}
    for wrong in ({"members": 1}, {"left": "ada"}, {"left": [1]}, {"from": "1"}, {"parts": 1.5}):
        assert (
            decode(json.dumps({"presence": {**frame, **wrong}}, separators=(",", ":"))) is None
        ), wrong


@named(table("resume")["cases"])
def test_a_client_counts_asks_and_sends_again_as_the_host_expects(case: dict[str, Any]) -> None:
    resume = Resume(True, case.get("bytes", 65_536))
    for step in case["steps"]:
        match step:
            case {"offers": entry}:
                assert resume.entry == entry, step
            case {"opens": first}:
                assert resume.is_asking == (first is not None), step
                start = resume.begin(first)
                assert (start.resumed, start.lost) == (
                    step.get("resumed", False),
                    step.get("lost", 0),
                ), step
                if "againCount" in step:
                    assert len(start.again) == step["againCount"]
                else:
                    assert list(start.again) == step.get("again", []), step
            case {"comes": frame}:
                assert resume.takes(frame) == step.get("own", False), step
            case {"sends": data}:
                for _ in range(step.get("times", 1)):
                    resume.sends(data)
            case {"silent": True}:
                resume.forget()
            case _:
                resume.ended(step["ends"])


def test_after_a_code_of_the_host_there_is_nothing_to_resume() -> None:
    codes = table("resume")["codes"]
    for code in codes["lost"] + codes["over"]:
        resume = Resume(True, 100)
        resume.begin()
        resume.takes('{"tidegate":"connection","resumed":false,"received":0,"token":"t"}')
        resume.ended(code)
        assert resume.is_asking == (code in codes["lost"]), code


def test_without_the_option_nothing_is_offered_or_kept() -> None:
    resume = Resume(False, 100)
    assert resume.entry is None
    resume.begin()
    assert not resume.takes('{"tidegate":"connection","resumed":false,"received":0,"token":"t"}')
    assert not resume.is_asking


def test_a_queue_is_bounded_in_messages_and_bytes() -> None:
    queue = Outgoing(2, 10)
    queue.push("äöü")
    assert queue.bytes == 6
    with pytest.raises(SendError, match="raise queue_messages") as refused:
        queue.push(b"12345")
    assert refused.value.reason == "queue-full"
    queue.push(b"1234")
    with pytest.raises(SendError):
        queue.push("")
    assert queue.shift() == "äöü"
    assert queue.take() == (b"1234",)
    assert (len(queue), queue.bytes) == (0, 0)
    with pytest.raises(SendError) as closed:
        Outgoing(0, 100).push("a")
    assert closed.value.reason == "not-open"
    for wrong in (7, None, ["a"], bytearray(b"a"), "\ud800"):
        with pytest.raises(InvalidMessage):
            queue.push(wrong)  # type: ignore[arg-type]


def test_options_that_would_make_a_client_hammer_are_refused() -> None:
    for wrong in (
        {"first": 0},
        {"first": -1},
        {"first": float("nan")},
        {"first": 60},
        {"factor": 0.5},
        {"spread": float("inf")},
        {"later": "5"},
        {"queue_messages": -1},
        {"open_timeout": 0},
        {"ping_interval": True},
        {"protocols": "chat"},
        {"token": "a.b.c"},
        {"max_delay": 5},
    ):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            Socket("ws://host/", **wrong)  # type: ignore[arg-type]


def test_a_socket_takes_the_options_by_their_names() -> None:
    assert set(Given.__annotations__) == {field.name for field in dataclasses.fields(Options)}


def test_an_address_is_that_of_a_page_or_a_socket() -> None:
    assert Socket("https://host/a?b#c").url == "wss://host/a?b"
    assert Socket("http://host/").url == "ws://host/"
    for wrong in ("ftp://host/", "/relative", "ws://"):
        with pytest.raises(ConfigError, match="not an address"):
            Socket(wrong)
    assert issubclass(ConfigError, TidegateError)
