"""The app."""

from django.apps import AppConfig


class ChatConfig(AppConfig):
    """Connects signals."""

    name = "chat"

    def ready(self) -> None:
        """Imports the receivers."""
        from . import signals  # noqa: F401
