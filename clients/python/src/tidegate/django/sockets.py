"""Closes the sockets of users, which Tidegate holds."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from .. import frames
from ..errors import TidegateError
from .settings import auth_settings

logger = logging.getLogger("tidegate")

# What the host closes a socket with whose token has expired: get another token, and come back with it.
TOKEN_EXPIRED = 4401


def close_sockets(user: Any, code: int = TOKEN_EXPIRED, reason: str = "") -> None:
    """Closes the sockets of a user in the groups of `TIDEGATE_AUTH`, wherever they are held.

    `user` is a user of the site, or the primary key. With the code 4401 a page asks for another token, and
    comes back where it gets one: call this when the claims of a user have changed. It returns when the
    layer has the messages. Raises `TidegateError` where Redis is not reached, or the id fits into no name.
    """
    settings = auth_settings()
    name = str(getattr(user, "pk", user))
    if not settings.groups:
        return
    layer = layer_of(settings.layer)
    for group in settings.groups:
        closed = layer.group_send(group.replace("{id}", name), frames.close(code, reason))
        layer.wait_for(closed)


def close_quietly(users: Iterable[str]) -> None:
    """Closes the sockets of users. Where Redis is not reached they end when their tokens do."""
    for user in users:
        try:
            close_sockets(user)
        except TidegateError as error:
            seconds = auth_settings().lifetime
            logger.error(
                "the sockets of user %s stay open for up to %s s: %s", user, seconds, error
            )


def layer_of(alias: str) -> Any:
    """Returns a layer of Tidegate in `CHANNEL_LAYERS`."""
    try:
        from channels.layers import get_channel_layer

        from ..channels import ChannelLayer
    except ImportError as error:
        raise ImproperlyConfigured(
            "TIDEGATE_AUTH has `groups`, whose sockets are closed over CHANNEL_LAYERS: run"
            " `pip install 'tidegate[channels]'`"
        ) from error
    layer = get_channel_layer(alias)
    if not isinstance(layer, ChannelLayer):
        raise ImproperlyConfigured(
            f"TIDEGATE_AUTH: CHANNEL_LAYERS has no layer of Tidegate as {alias!r}; set its BACKEND to"
            " 'tidegate.channels.ChannelLayer', or name another one as `layer`"
        )
    return layer
