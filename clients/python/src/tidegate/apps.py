"""The app `tidegate` of a Django site."""

from __future__ import annotations

from django.apps import AppConfig


class TidegateConfig(AppConfig):  # type: ignore[misc]
    """Adds the commands of `manage.py`, and connects signals and checks where `TIDEGATE_AUTH` is set."""

    name = "tidegate"
    verbose_name = "Tidegate"

    def ready(self) -> None:
        """Connects what follows the users of the site."""
        from django.conf import settings

        if getattr(settings, "TIDEGATE_AUTH", None) is not None:
            from .django import checks, signals

            checks.connect()
            signals.connect()
