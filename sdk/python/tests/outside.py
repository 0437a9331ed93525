"""A server outside, for requests of consumers."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Asked:
    """A request that has come."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes


class Outside:
    """A server on a free port of the loopback, until the end of a `with`.

    It answers with its request line; `/echo` with the body, `/missing` with 404, `/busy` with 503 the first time, and
    `/closes` not at all.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def url(self, path: str) -> str:
        return f"http://{self.address}{path}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        asked, counts = self.asked, Counter[str]()

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                asked.append(Asked(f"{self.command} {self.path}", self.headers.items(), body))
                counts[self.path] += 1
                if self.path == "/closes":
                    self.close_connection = True
                    return
                is_busy = self.path == "/busy" and counts[self.path] == 1
                self.send_response(503 if is_busy else 404 if self.path == "/missing" else 200)
                text = body if self.path == "/echo" else f"{self.command} {self.path}".encode()
                self.send_header("content-type", "text/plain")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = answer

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        return Handler

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
