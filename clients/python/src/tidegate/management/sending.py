"""The common part of the commands."""

from __future__ import annotations

import argparse
from typing import Any

from asgiref.sync import async_to_sync
from channels import DEFAULT_CHANNEL_LAYER
from channels.exceptions import ChannelFull, InvalidChannelLayerError, MessageTooLarge
from channels.layers import get_channel_layer
from django.core.management.base import BaseCommand, CommandError

from ..__main__ import FULL, UNREACHABLE, WRONG_SETTING, message_of
from ..channels import ChannelLayer
from ..errors import InvalidMessage, InvalidName, TidegateError


class SendCommand(BaseCommand):  # type: ignore[misc]
    """Sends a message over a channel layer of the site."""

    leave_locale_alone = True
    requires_system_checks: list[str] = []
    target = "channel"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declares what the command takes."""
        parser.add_argument("name", metavar=self.target.upper())
        parser.add_argument("json", metavar="JSON", help="the message, an object")
        parser.add_argument(
            "--layer", default=DEFAULT_CHANNEL_LAYER, help="the alias in CHANNEL_LAYERS"
        )

    def handle(self, *arguments: Any, **options: Any) -> None:
        """Sends."""
        name, alias = options["name"], options["layer"]
        try:
            layer = get_channel_layer(alias)
            if not isinstance(layer, ChannelLayer):
                raise CommandError(
                    f"CHANNEL_LAYERS has no layer of Tidegate as {alias!r}; set its BACKEND to"
                    " 'tidegate.channels.ChannelLayer', or name another one with --layer",
                    returncode=WRONG_SETTING,
                )
            async_to_sync(self.send)(layer, name, message_of(options["json"]))
        except ChannelFull as error:
            raise CommandError(str(error), returncode=FULL) from error
        except (InvalidChannelLayerError, MessageTooLarge, InvalidName, InvalidMessage) as error:
            raise CommandError(str(error), returncode=WRONG_SETTING) from error
        except TidegateError as error:
            raise CommandError(str(error), returncode=UNREACHABLE) from error
        self.stdout.write(f"sent to {name}")

    async def send(self, layer: ChannelLayer, name: str, message: dict[str, Any]) -> None:
        """Sends a message, in the way of the command."""
        raise NotImplementedError
