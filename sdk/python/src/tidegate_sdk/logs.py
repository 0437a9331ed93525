"""Lines of the module `logging` in the record of a run."""

from __future__ import annotations

import sys
from typing import Any

from tidegate_sdk.context import write_log
from tidegate_sdk.wire import Host


def attach(host: Host) -> Any:
    """Brings the lines of `logging` into the record until `detach`, if the application has imported that module.

    `info` and worse is taken, unless the application has set the level of the root logger.
    """
    logging: Any = sys.modules.get("logging")
    if logging is None:
        return None
    # A component that has not imported it while it was built has no handler either.
    handler = _handler_class(logging)(host)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    if before == logging.WARNING:
        root.setLevel(logging.INFO)
    return handler, before


def detach(attached: Any) -> None:
    """Ends what `attach` began."""
    if attached is not None:
        handler, level = attached
        root = sys.modules["logging"].getLogger()
        root.removeHandler(handler)
        root.setLevel(level)


def prepare() -> None:
    """Makes the handler's class while the component is built, not in each fresh instance."""
    if "logging" in sys.modules:
        _handler_class(sys.modules["logging"])


_CLASSES: dict[int, type[Any]] = {}


def _handler_class(logging: Any) -> type[Any]:
    """The handler's class, made once for the module `logging`, which is not imported for its sake."""
    known = _CLASSES.get(id(logging))
    if known is not None:
        return known

    class RecordHandler(logging.Handler):  # type: ignore[misc]
        def __init__(self, host: Host) -> None:
            super().__init__()
            self._host = host

        def emit(self, record: Any) -> None:
            line = f"{record.name}: {record.getMessage()}"
            if record.exc_info:
                line = f"{line}\n{logging.Formatter().formatException(record.exc_info)}"
            write_log(self._host.log, _level(record.levelno), line)

    _CLASSES[id(logging)] = RecordHandler
    return RecordHandler


def _level(number: int) -> str:
    if number >= 40:
        return "error"
    if number >= 30:
        return "warn"
    return "info" if number >= 20 else "debug"
