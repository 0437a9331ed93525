"""Consumers that are run by the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tidegate_sdk import ConsumerError, Context, Tick, Unreadable, channel, export, http, schedule, websocket
from tidegate_sdk.codec import messagepack
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.declarations import WorldError, check_world, declare
from tidegate_sdk.exports import check_forgotten
from tidegate_sdk.testing import TestHost

NIGHT = datetime(2027, 1, 4, 3, 30, 0, 250_000, UTC)


@schedule("30 3 * * 1-5", zone="Europe/Berlin", missed="skip")
@channel("shop.report", retries=5)
def report(cx: Context, tick: Tick) -> None:
    cx.info(tick.due.isoformat())


@channel("shop.hourly")
@schedule("@hourly")
def hourly(tick: dict[str, int]) -> None: ...


@channel("shop.orders")
def orders() -> None: ...


@http("GET /")
def page() -> str:
    return "open\n"


def test_a_consumer_gets_the_moment_in_utc() -> None:
    host = TestHost(export(report), at=NIGHT)
    host.fire("report")
    host.advance(60)
    host.fire("report")
    assert [line.text for line in host.logs] == ["2027-01-04T03:30:00.250000+00:00", "2027-01-04T03:31:00.250000+00:00"]


def test_a_moment_is_never_after_the_clock_that_the_consumer_reads() -> None:
    @schedule("@daily")
    @channel("late")
    def late(cx: Context, tick: Tick) -> None:
        assert timedelta(0) <= cx.now() - tick.due < timedelta(milliseconds=1)

    host = TestHost(export(late), at=NIGHT + timedelta(microseconds=999))
    host.fire("late")
    assert host.faults == []


def test_a_message_of_a_schedule_has_milliseconds() -> None:
    host = TestHost(export(report, hourly), at=NIGHT)
    host.fire("hourly")
    host.send("shop.report", Tick(NIGHT))
    assert host.messages("shop.hourly")[0].read() == {"due": 1_799_033_400_250}
    assert host.messages("shop.report")[0].read(Tick) == Tick(NIGHT)
    assert host.faults == []


def test_a_message_by_hand_that_is_no_tick_is_a_fault() -> None:
    host = TestHost(export(report))
    for message, text in (
        ({}, "missing field `due`"),
        ({"due": "soon"}, "due: expected `int` or `datetime`, found the text 'soon'"),
        ({"due": 2**62}, "due: no date has so many milliseconds"),
    ):
        host.send("shop.report", message)
        assert f"the message does not read as `Tick`: {text}" in host.faults[-1].text


def test_a_tick_in_a_value_of_the_store_reads_again() -> None:
    @schedule("@daily")
    @channel("kept")
    def kept(cx: Context, tick: Tick) -> None:
        cx.store.set("last", tick)

    host = TestHost(export(kept), at=NIGHT)
    host.fire("kept")
    assert host.data.get("last", Tick) == Tick(NIGHT)


def test_a_tick_is_made_of_a_time_with_a_zone() -> None:
    with pytest.raises(ValueError, match="`due` has no time zone"):
        Tick(datetime(2027, 1, 4))
    with pytest.raises(Unreadable, match="`due` has no time zone"):
        reader(Tick)({"due": "2027-01-04T03:30:00"})
    assert Tick(NIGHT.astimezone(timezone(timedelta(hours=1)))).as_message() == Tick(NIGHT).as_message()


def test_only_a_consumer_with_a_schedule_is_fired() -> None:
    host = TestHost(export(report, orders))
    with pytest.raises(
        ValueError, match=r"'orders' has no schedule: write @schedule\(\"@daily\"\) before its @channel"
    ):
        host.fire("orders")
    with pytest.raises(ValueError, match="the module has no consumer 'reports'; it has report, orders"):
        host.fire("reports")
    assert host.messages("shop.orders") == []


def test_what_is_declared_has_each_schedule_with_its_defaults() -> None:
    assert messagepack.unpackb(declare(export(report, hourly, orders, page).entries)) == {
        "report": {"schedule": {"expression": "30 3 * * 1-5", "zone": "Europe/Berlin", "missed": "skip"}},
        "hourly": {"schedule": {"expression": "@hourly", "zone": "UTC", "missed": "once"}},
    }


def test_what_becomes_of_a_moment_while_a_run_is_not_over_is_declared_if_it_is_said() -> None:
    for overlap in ("skip", "queue"):
        declared = declare(export(channel("a")(schedule("@daily", overlap=overlap)(lambda: None))).entries)
        assert messagepack.unpackb(declared) == {
            "<lambda>": {"schedule": {"expression": "@daily", "zone": "UTC", "missed": "once", "overlap": overlap}}
        }
    assert declare(export(hourly).entries) == (
        b"\x81\xa6hourly\x81\xa8schedule\x83\xaaexpression\xa7@hourly\xa4zone\xa3UTC\xa6missed\xa4once"
    )


def test_a_component_exports_declarations_if_and_only_if_it_has_some() -> None:
    with_schedule, without = export(report, page).entries, export(orders, page).entries
    check_world(with_schedule, is_exported=True)
    check_world(without, is_exported=False)
    with pytest.raises(
        WorldError, match=r"report \(\S+test_schedules.py:\d+\) has a schedule, and this component does"
    ):
        check_world(with_schedule, is_exported=False)
    with pytest.raises(WorldError, match="exports `declarations`, and no consumer has a schedule"):
        check_world(without, is_exported=True)


@pytest.mark.parametrize(
    ("arguments", "options", "fix"),
    [
        (["30 3 * *"], {}, "@schedule('30 3 * *'): an expression has 5 fields, minute, hour, day of the month, month"),
        (["0 0 30 3 * * 2027"], {}, "or 6 with seconds before them; this one has 7"),
        ([""], {}, "this one has 0"),
        ([30], {}, 'a schedule has an expression, which is text: @schedule("30 3 * * *", zone="Europe/Berlin")'),
        ([report], {}, "a schedule has an expression, which is text"),
        (["@daily"], {"zone": UTC}, "@schedule('@daily'): `zone` is text, a name of the IANA database such as"),
        (
            ["@daily"],
            {"missed": "twice"},
            '`missed` is "once", which runs the last of the moments that were missed, or',
        ),
        (["@daily"], {"missed": []}, '"skip", and not []'),
        (
            ["@daily"],
            {"overlap": "wait"},
            "@schedule('@daily'): `overlap` is \"skip\", which leaves a moment out while the run of the one before",
        ),
        (["@daily"], {"overlap": True}, '"queue", which waits until that one is over, and not True'),
        (["@daily"], {"overlap": []}, "and not []"),
    ],
)
def test_a_schedule_that_cannot_be(arguments: list[Any], options: dict[str, Any], fix: str) -> None:
    with pytest.raises(ConsumerError) as raised:
        schedule(*arguments, **options)
    assert fix in str(raised.value)


def test_only_a_consumer_of_a_channel_has_a_schedule() -> None:
    @schedule("@daily")
    @http("GET /report")
    def answers() -> str:
        return ""

    @websocket("/report")
    @schedule("@daily")
    class Watch:
        pass

    for consumer in (answers, Watch):
        with pytest.raises(ConsumerError) as raised:
            export(page, consumer)
        assert str(raised.value).startswith(f"{consumer.__name__} (")
        assert "@schedule sends a message to the channel of a consumer, and this consumer has none" in str(raised.value)
        assert 'write @channel("reports.make") in place of' in str(raised.value)


def test_a_consumer_has_one_schedule() -> None:
    with pytest.raises(
        ConsumerError, match=r"report \(\S+test_schedules.py:\d+\) has two schedules, and a consumer has"
    ):
        schedule("@daily")(report)


def test_a_schedule_of_a_function_that_is_not_listed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> None: ...

    decorate: Callable[..., Any] = schedule("@daily")
    monkeypatch.setitem(globals(), "lost", decorate(lost))
    with pytest.raises(ConsumerError, match=r"`lost` is not in export\(...\): add it, or remove its decorator"):
        check_forgotten([report, hourly, orders, page])
    with pytest.raises(ConsumerError, match="`lost` is no consumer: put @http, @websocket or @channel before it"):
        export(lost)
