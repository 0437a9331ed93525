"""The connections of a user."""

from __future__ import annotations

from typing import Any

from tidegate_sdk.checks import need_int, need_text
from tidegate_sdk.codec import jsons
from tidegate_sdk.errors import InvalidContent, InvalidOnline
from tidegate_sdk.frame import Message, encode
from tidegate_sdk.wire import Host


class UserConnections:
    """The connections of a user to this module, over all processes. `Context.connections_of` makes one.

    They are open WebSockets, from their handshake on, and requests on hold. The host notes whose a connection is where
    `user` or `claims` stands before its consumer.

    Calls raise `InvalidOnline` when they break a rule, and `OnlineUnavailable` when the layer does not answer; both are
    `OnlineError`.

    >>> from tidegate_sdk import Context, User, export, http, user, websocket
    >>> from tidegate_sdk.testing import TestHost
    >>> @user
    ... @websocket("/news")
    ... class News: ...
    >>> @http("POST /tell/{whom}")
    ... def tell(cx: Context, whom: str) -> str:
    ...     theirs = cx.connections_of(whom)
    ...     theirs.send("a parcel has come")
    ...     return f"told {theirs.count()} tabs"
    >>> @user
    ... @http("POST /sign-out")
    ... def sign_out(cx: Context, user: User) -> str:
    ...     cx.connections_of(user.id).close(4000, "signed out")
    ...     return "signed out"
    >>> host = TestHost(export(News, tell, sign_out))
    >>> ada, bob = host.websocket("/news", signed_in="ada"), host.websocket("/news", signed_in="bob")
    >>> host.request("POST", "/tell/ada").text
    'told 1 tabs'
    >>> ada.receive()
    'a parcel has come'
    >>> bob.expect_nothing()
    >>> host.request("POST", "/sign-out", signed_in="ada").status
    200
    >>> ada.expect_close(4000).reason
    'signed out'
    """

    def __init__(self, host: Host, user: str) -> None:
        self._host = host
        self._user = need_text("the id of a user", user)

    def send(self, message: Message) -> None:
        """Sends a message to all of them: text, bytes, `Response` or `Close`, or another that `group_send` takes.

        It waits in the outbox, in order with all that the consumer sends. Nobody gets it where there is no connection.
        """
        try:
            content = encode(message)
        except InvalidContent as error:
            raise InvalidOnline(str(error)) from None
        self._host.user_send(self._user, content)

    def send_json(self, value: Any) -> None:
        """Sends a text message that holds `value` as JSON to all of them."""
        self.send(jsons.dumps(value))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes all of them, in order with all that the consumer sends.

        WebSockets get the code, 1000 or from 3000 to 4999, and the reason, at most 123 bytes. Requests on hold end as
        if their time were over.
        """
        need_int("a close code", code, 0, 65535)
        self._host.user_close(self._user, code, need_text("a close reason", reason))

    def count(self) -> int:
        """Counts them. The outbox of this run has not been sent yet. The call asks the layer, and waits for it."""
        return self._host.user_connections(self._user)
