"""The same cases on a real host, over HTTP and WebSocket.

They need `TIDEGATE`, the path of the host.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from examples import ALL, Example
from outside import Outside
from served import COMMAND, MODULE, Host, ServedDriver, token

from tidegate_sdk import Close
from tidegate_sdk.testing.cases import CaseHandshake, CaseRequest, CaseResponse, Cases, CaseUser

pytestmark = pytest.mark.skipif("TIDEGATE" not in os.environ, reason="TIDEGATE does not name a host")


@pytest.mark.parametrize("example", ALL, ids=lambda it: it.name)
def test_cases_hold_on_a_host(host: Host, example: Example, tmp_path: Path) -> None:
    for file in example.cases:
        # The examples are one module here, whose name its groups have.
        text = file.read_text(encoding="utf-8").replace(f'"group": "{example.name}.', f'"group": "{MODULE}.')
        (tmp_path / file.name).write_text(text, encoding="utf-8")
        Cases(tmp_path / file.name).run(ServedDriver(host.port))


# The texts of faults, by the name of the mistake.
FAULTS = {
    "raises": "ValueError: boom and more (at surface_app.py:",
    "import": "import it at the top of the file (at surface_app.py:",
    "recursion": "RecursionError: maximum recursion depth exceeded (at surface_app.py:",
    "print": "ValueError: after a large print (at surface_app.py:",
    "exit": "SystemExit: 3 (at surface_app.py:",
    "nothing": "returned nothing, and an HTTP consumer returns a Response",
    "status": "InvalidReply: status 99999 is not from 200 to 599 (at surface_app.py:",
    "body": "TypeError: Response.body has to be bytes, not int (at surface_app.py:",
    "header": "TypeError: header x-a has to be bytes, not int (at surface_app.py:",
    "surrogate": "ValueError: Response.text has half of a surrogate pair",
    "channel": "TypeError: the name of a channel has to be str, not int (at surface_app.py:",
    "content": "InvalidContent: the message cannot be written: a value of type `object` cannot be written",
    "large": "InvalidContent: the message cannot be written: an integer has more than 64 bits",
    "group": "TypeError: the name of a group has to be str, not int",
    "delay": "ValueError: delay has to be from 0 to 10**12 seconds, and is -1",
    "level": "ValueError: a level is one of trace, debug, info, warn, error, not 7",
    "key": "TypeError: a key has to be str, not int",
    "user": "TypeError: the id of a user has to be str, not int",
    "code": "ValueError: a close code has to be from 0 to 65535, and is 70000",
    "url": "TypeError: the URL of a request has to be str, not int",
}


def test_what_goes_wrong_is_a_fault_with_its_reason_and_never_a_trap(host: Host) -> None:
    identities = {}
    for kind in FAULTS:
        response = ServedDriver(host.port).request(CaseRequest("GET", f"/s/fault/{kind}", {}, b""))
        assert response.status == 500
        identities[dict(response.headers)["x-request-id"]] = kind
    records = host.records(set(identities))
    for identity, kind in identities.items():
        record = records[identity]
        assert record["outcome"] == "failed"
        assert FAULTS[kind] in record["detail"]
    raised = next(records[identity] for identity, kind in identities.items() if kind == "raises")
    lines = [line["text"] for line in raised["log"]]
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2:] == ["ValueError: boom", "and more"]


def test_prints_without_end_are_a_fault_that_says_so(host: Host) -> None:
    response = ServedDriver(host.port).request(CaseRequest("GET", "/s/fault/prints", {}, b""))
    assert response.status == 500
    identity = dict(response.headers)["x-request-id"]
    assert host.records({identity})[identity]["outcome"] == "host_calls"


def test_an_exception_in_each_method_of_a_socket_is_the_fault_of_that_event(host: Host) -> None:
    driver = ServedDriver(host.port)
    assert driver.open("connect", CaseHandshake("/s/fragile/connect")).denied == 500
    driver.open("receive", CaseHandshake("/s/fragile/receive"))
    driver.send("receive", "x")
    closed = driver.receive("receive")
    assert isinstance(closed, Close)
    assert closed.code == 1011
    driver.open("disconnect", CaseHandshake("/s/fragile/disconnect"))
    driver.close("disconnect", 1000)
    driver.reset()
    host.logged(*(f"ValueError: broken in {when} (at surface_app.py:" for when in ("connect", "receive", "disconnect")))


def test_a_body_that_is_nested_without_end_is_refused(host: Host) -> None:
    body = b'{"items":' + b"[" * 200_000
    request = CaseRequest("PUT", "/s/order", {"content-type": "application/json"}, body)
    response = ServedDriver(host.port).request(request)
    assert (response.status, response.body) == (400, b"body: lists and maps are nested deeper than 128\n")


def test_two_fresh_instances_draw_different_numbers(host: Host) -> None:
    request = CaseRequest("GET", "/s/random", {}, b"")
    one, other = (ServedDriver(host.port).request(request).body.split() for _ in range(2))
    assert one[0] != other[0]
    assert one[1] != other[1]


def test_who_is_present_is_told_until_the_last_connection_ends(host: Host) -> None:
    driver = ServedDriver(host.port)
    driver.open("changes", CaseHandshake("/s/changes"))
    driver.open("ada", CaseHandshake("/s/board/one/ada"))
    while json.loads(str(driver.receive("changes")))[0] != ["ada"]:
        pass
    driver.close("ada", 1000)
    assert json.loads(str(driver.receive("changes"))) == [[], [], ["ada"], 0]
    driver.open("eve", CaseHandshake("/s/board/two/eve"))
    for _ in range(2):
        driver.receive("eve")
    driver.send("eve", "in alerts.all")
    refused = str(driver.receive("eve"))
    assert refused.startswith("ForbiddenPresence: ")
    assert "modules.chat.grants.groups" in refused
    driver.reset()


def test_requests_on_hold_are_connections_of_their_user(host: Host) -> None:
    driver = ServedDriver(host.port)

    def reach(what: str) -> Any:
        return json.loads(driver.request(CaseRequest("POST", f"/s/online/holder/{what}", {}, b"")).body)

    for what, text in (("answer", b"news\n"), ("close", b"nothing\n")):
        with ThreadPoolExecutor(1) as pool:
            request = CaseRequest("GET", "/s/online/hold", {}, b"", CaseUser("holder", {}))
            held = pool.submit(ServedDriver(host.port).request, request)
            while reach("count") != [1]:
                pass
            assert reach(what) == [1]
            assert held.result().body == text
        while reach("count") != [0]:
            pass


def test_a_timer_sends_its_message_when_it_is_due(host: Host) -> None:
    driver = ServedDriver(host.port)
    driver.open("watcher", CaseHandshake("/s/timers"))
    driver.request(CaseRequest("POST", "/s/timer/tea", {}, b""))
    assert driver.receive("watcher") == "tea"
    driver.reset()


def test_a_consumer_with_a_schedule_gets_each_moment_once(host: Host) -> None:
    driver = ServedDriver(host.port)
    driver.open("watcher", CaseHandshake("/s/seconds"))
    moments = {datetime.fromisoformat(str(driver.receive("watcher"))) for _ in range(3)}
    driver.reset()
    assert len(moments) == 3
    for moment in moments:
        assert (moment.microsecond, moment.utcoffset()) == (0, timedelta(0))
        assert moment <= datetime.now(UTC)


def test_the_routes_of_a_module_have_its_schedule_with_the_next_moment(host: Host) -> None:
    [line] = [line for line in host.routes() if " s.second" in line]
    assert re.fullmatch(r"CHANNEL +s\.second +\* \* \* \* \* \* Europe/Berlin, next 20\S+\[Europe/Berlin\]", line)
    [other] = [line for line in host.routes() if " s.due" in line]
    assert "next" not in other


GRANT = "(modules.chat.grants.http)"


def ask(driver: ServedDriver, **asked: Any) -> CaseResponse:
    body = json.dumps(asked).encode()
    return driver.request(CaseRequest("POST", "/s/fetch", {"content-type": "application/json"}, body))


def test_the_answer_of_a_server_outside_comes_as_a_message(host: Host, outside: Outside) -> None:
    driver = ServedDriver(host.port)
    driver.open("watcher", CaseHandshake("/s/fetches"))

    def told(**asked: Any) -> Any:
        response = ask(driver, **asked)
        assert (response.status, response.body) == (200, b"asked\n")
        return json.loads(str(driver.receive("watcher")))

    value = {"name": "echo", "count": 2**40}
    assert told(method="POST", url=outside.url("/echo"), key="echo", text="ä") == {
        "value": value, "attempts": 1, "status": 200, "type": "text/plain", "text": '{"text":"ä"}',
    }  # fmt: skip
    [asked] = outside.asked
    assert asked.line == "POST /echo"
    for field in (("content-type", "application/json"), ("idempotency-key", "echo"), ("x-mine", "yes")):
        assert field in asked.headers
    assert ("x-bytes", "\xff") in asked.headers
    assert told(method="GET", url=outside.url("/missing"), key="missing")["status"] == 404
    again = told(method="POST", url=outside.url("/busy"), key="busy", retries=2)
    assert (again["status"], again["attempts"]) == (200, 2)
    failed = told(method="GET", url=outside.url("/closes"), key="closes")
    assert failed["failure"].startswith("broken: ")
    assert "status" not in failed
    driver.reset()


def test_a_request_is_refused_in_the_run_with_the_fix(host: Host, outside: Outside) -> None:
    driver = ServedDriver(host.port)
    with Outside() as other:
        for asked, texts in (
            ({"url": other.url("/")}, ["ForbiddenFetch: ", f'add "http://{other.address}" to', GRANT]),
            ({"url": "https://api.example/"}, ["ForbiddenFetch: ", 'add "https://api.example" to', GRANT]),
            ({"url": outside.url("/"), "retries": 11}, ["InvalidFetch: a request is made again 10 times at most"]),
            ({"url": outside.url("/"), "method": "CONNECT"}, ['InvalidFetch: "CONNECT" is not a method']),
            ({"url": "nowhere"}, ["the URL is not valid"]),
        ):
            response = ask(driver, **{"method": "GET", "key": "refused"} | asked)
            assert response.status == 400
            for text in texts:
                assert text in response.body.decode()
        assert other.asked == []


def test_a_run_waits_for_a_server_outside(host: Host, outside: Outside) -> None:
    driver = ServedDriver(host.port)

    def told(**asked: Any) -> Any:
        body = json.dumps({"method": "GET", "key": "now"} | asked).encode()
        fields = {"content-type": "application/json"}
        response = driver.request(CaseRequest("POST", "/s/fetch-now", fields, body))
        assert response.status == 200
        return json.loads(response.body)

    large = "ä" * 10_000
    assert told(method="POST", url=outside.url("/echo"), text=large) == [200, "text/plain", large]
    asked = next(it for it in outside.asked if ("idempotency-key", "now") in it.headers)
    assert ("x-mine", "yes") in asked.headers
    assert told(url=outside.url("/missing?a=b")) == [200, "text/plain", "GET /missing?a=b"]
    assert told(url=f"http://{outside.address}") == [200, "text/plain", "GET /"]
    assert told(url=outside.url("/closes"))[0] == "broken"
    reason, text = told(url="http://10.0.0.1/")
    assert reason == "refused"
    assert 'add "http://10.0.0.1" to [modules.NAME.grants] http' in text
    for url in ("nowhere", "ftp://example.com/", "http:///"):
        assert told(url=url)[0] in ("invalid", "refused")


def test_a_token_that_no_longer_counts_lets_nobody_in_and_one_that_does_tells_its_end(host: Host) -> None:
    driver = ServedDriver(host.port)

    def me(user: CaseUser, seconds: int) -> CaseResponse:
        fields = {"authorization": f"Bearer {token(user, seconds)}"}
        return driver.request(CaseRequest("GET", "/s/me", fields, b""))

    ada = CaseUser("ada", {"role": "admin", "large": 2**40})
    assert me(ada, -3600).status == 401
    response = me(ada, 3600)
    found = json.loads(response.body)
    assert response.status == 200
    assert (found["id"], found["claims"]["role"], found["claims"]["large"]) == ("ada", "admin", 2**40)
    left = datetime.fromisoformat(found["expires"]) - datetime.now(UTC)
    assert timedelta(minutes=50) < left <= timedelta(hours=1)


def test_a_browser_signs_in_and_out_and_keeps_a_basket(host: Host) -> None:
    driver = ServedDriver(host.port)

    def asked(path: str, cookie: str = "", method: str = "POST") -> CaseResponse:
        fields = {"user-agent": "tests"} | ({"cookie": cookie} if cookie else {})
        return driver.request(CaseRequest(method, f"/s/{path}", fields, b""))

    def cookie(response: CaseResponse) -> str:
        return dict(response.headers)["set-cookie"].partition(";")[0]

    def shown(of: str) -> Any:
        return json.loads(asked("session", of, "GET").body)

    guest = cookie(asked("session/put/rope"))
    assert shown(guest)[:2] == [None, ["rope"]]
    signed_in = asked("login/grace", guest)
    assert (signed_in.status, signed_in.body) == (200, b"welcome\n")
    grace = cookie(signed_in)
    assert shown(grace) == ["grace", ["rope"], [[True, "127.0.0.1", "tests", True]]]
    assert shown(guest)[:2] == [None, []]
    assert asked("session/put/oar", grace).body == b'["rope","oar"]'
    other = cookie(asked("login/grace"))
    assert asked("login/grace").body == b"True\n"
    assert asked("session/end/grace", grace).body == b"done\n"
    assert (shown(other)[0], shown(grace)[0]) == (None, "grace")
    for path, text in (
        ("session/name/a", "InvalidSession: "),
        ("session/claims/x", "InvalidSession: "),
        ("session/one/x", "InvalidSession: an id of a session is"),
    ):
        assert asked(path, grace).body.decode().startswith(text)
    assert asked("unguarded", grace).body == b"NoSession\n"
    assert asked("session/out/x", grace).status == 200
    assert shown(grace) == [None, [], []]


DECLARATIONS = b"tidegate:channels/declarations@"


def test_a_module_without_schedules_exports_no_declarations(host: Host, tmp_path: Path) -> None:
    # The import alone misleads the command, which notices.
    text = f"{ALL[0].file.read_text()}\nfrom tidegate_sdk import schedule\n"
    (tmp_path / "app.py").write_text(text)
    done = subprocess.run([COMMAND, "build", "app"], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert DECLARATIONS not in (tmp_path / "app.wasm").read_bytes()
    assert DECLARATIONS in host.component.read_bytes()
