"""The servers outside of the demo: a service that sends notifications, and a shop that places orders.

- POST /notifications, with JSON {"to", "text"} and the header field idempotency-key, sends a notification. The first
  requests of a key are answered with 503, so that retries show. A key that was sent before is not sent again.
- POST /orders has the shop place an order, which it signs and delivers.

`--help` lists the arguments.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import shop


class Notifications:
    """The notifications, by their idempotency keys."""

    def __init__(self, busy: int) -> None:
        self._busy = busy
        self._requests: dict[str, int] = {}
        self._ids: dict[str, str] = {}
        self._turn = threading.Lock()

    def send(self, key: str, to: str, text: str) -> tuple[int, dict[str, str]]:
        """Sends a notification once. Returns the status and the body of the answer."""
        with self._turn:
            number = self._requests.get(key, 0) + 1
            self._requests[key] = number
            if number <= self._busy:
                print(f"{key}: request {number}, answered 503", flush=True)
                return 503, {"error": "busy, ask again"}
            if key in self._ids:
                print(f"{key}: request {number}, sent before as {self._ids[key]}", flush=True)
                return 200, {"id": self._ids[key]}
            self._ids[key] = f"n-{len(self._ids) + 1}"
            print(f"{key}: request {number}, sent as {self._ids[key]} to {to}: {text}", flush=True)
            return 201, {"id": self._ids[key]}


class Server(ThreadingHTTPServer):
    """Both servers at one address."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], notifications: Notifications, hook: str) -> None:
        self.notifications = notifications
        self.hook = hook
        super().__init__(address, Handler)


class Handler(BaseHTTPRequestHandler):
    """A connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        """Answers a request."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        match self.path:
            case "/notifications":
                self._notify(body)
            case "/orders":
                status, text = shop.place(self.server.hook)
                self._answer(status, {"text": text})
            case _:
                self._answer(404, {"error": "there are /notifications and /orders"})

    def _notify(self, body: bytes) -> None:
        key = self.headers.get("idempotency-key")
        if not key:
            self._answer(400, {"error": "the header field idempotency-key is missing"})
            return
        try:
            letter = json.loads(body)
            to, text = str(letter["to"]), str(letter["text"])
        except (ValueError, KeyError, TypeError):
            self._answer(400, {"error": 'the body is JSON, {"to": "...", "text": "..."}'})
            return
        self._answer(*self.server.notifications.send(key, to, text))

    def _answer(self, status: int, answer: dict[str, str]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        # The page with the button comes from another server.
        self.send_header("access-control-allow-origin", "*")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Writes no access log: a notification has its line."""


def _stop_with_input(server: Server) -> None:
    sys.stdin.read()
    server.shutdown()


def main() -> None:
    """Serves until it is interrupted."""
    asked = urllib.parse.urlsplit(shop.grants()["environment"]["NOTIFY_URL"]).netloc
    parser = argparse.ArgumentParser(description="A service that sends notifications, and a shop that places orders.")
    parser.add_argument("--listen", default=asked, help="address and port; port 0 takes a free one")
    parser.add_argument("--busy", type=int, default=2, help="how many requests of a key are answered with 503")
    parser.add_argument("--hook", default=shop.HOOK, help="where the shop delivers orders")
    parser.add_argument("--until-input-ends", action="store_true", help="end when standard input does")
    wish = parser.parse_args()
    host, _, port = wish.listen.rpartition(":")
    try:
        server = Server((host, int(port)), Notifications(wish.busy), wish.hook)
    except OSError as error:
        sys.exit(f"the notification service cannot listen on {wish.listen}: {error}")
    print(f"notification service  http://{host}:{server.server_port}", flush=True)
    if wish.until_input_ends:
        threading.Thread(target=_stop_with_input, args=[server], daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
