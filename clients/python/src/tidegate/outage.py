"""Says once that something fails which is tried again, and once that it works again."""

from __future__ import annotations

import logging

logger = logging.getLogger("tidegate")


class Outage:
    """The failures of one thing that is tried again and again."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_on = False

    def failed(self, error: BaseException) -> None:
        """Logs the first failure in a row."""
        if not self._is_on:
            self._is_on = True
            logger.warning("%s fails, and is tried again: %s", self._what, error)

    def worked(self) -> None:
        """Logs that it works again."""
        if self._is_on:
            self._is_on = False
            logger.warning("%s works again", self._what)
