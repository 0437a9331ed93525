"""`manage.py tidegate_send CHANNEL JSON`."""

from __future__ import annotations

from typing import Any

from ...channels import ChannelLayer
from ..sending import SendCommand


class Command(SendCommand):
    """Sends a message to a channel of Django or of Tidegate."""

    help = "Sends a message to a channel of Django or of Tidegate."

    async def send(self, layer: ChannelLayer, name: str, message: dict[str, Any]) -> None:
        """Sends it."""
        await layer.send(name, message)
