"""`manage.py tidegate_group_send GROUP JSON`."""

from __future__ import annotations

from typing import Any

from ...channels import ChannelLayer
from ..sending import SendCommand


class Command(SendCommand):
    """Sends a message to the members of a group: consumers of Django, and sockets of Tidegate."""

    help = (
        "Sends a message to the members of a group: consumers of Django, and sockets of Tidegate."
    )
    target = "group"

    async def send(self, layer: ChannelLayer, name: str, message: dict[str, Any]) -> None:
        """Sends it."""
        await layer.group_send(name, message)
