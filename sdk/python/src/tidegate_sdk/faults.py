"""What becomes of exceptions that a consumer does not catch."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from pathlib import Path

from tidegate_sdk.context import write_log
from tidegate_sdk.errors import ConsumerError, StateUnreadable
from tidegate_sdk.wire import Event, Failed, Host, Invocation

_PACKAGE = str(Path(__file__).parent)

# componentize-py mounts each directory of the path below a number.
_MOUNT = re.compile(r"^/\d+/")


class RunEnded(BaseException):
    """The host ends a run where it stands. No consumer can catch it with `except Exception`."""


def guarded(run: Callable[[Host, Invocation, str, Event], None], host: Host, invocation: Invocation, prefix: str,
            event: Event) -> None:
    """Runs a consumer. An exception becomes the fault `failed`, and its traceback lines of the record.

    Raises `StateUnreadable` and `Failed`, and nothing else of the consumer's.
    """
    try:
        run(host, invocation, prefix, event)
    except (StateUnreadable, RunEnded, KeyboardInterrupt):
        raise
    except ConsumerError as error:
        raise Failed(str(error)) from None
    except BaseException as error:
        for line in traceback.format_exception(error):
            write_log(host.log, "error", line)
        raise Failed(describe(error)) from None


def describe(error: BaseException) -> str:
    """The exception in one line, with the place in the consumer's own code.

    >>> try:
    ...     {}["tide"]
    ... except KeyError as error:
    ...     text = describe(error)
    >>> text.startswith("KeyError: 'tide' (at ")
    True
    """
    text = "".join(traceback.format_exception_only(error)).strip().splitlines()
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_PACKAGE)]
    place = (own or frames or [None])[-1]
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = ": a module is loaded when the component is built, so import it at the top of the file"
    if place is None:
        return f"{text[-1]}{hint}"
    return f"{text[-1]}{hint} (at {_MOUNT.sub('', place.filename)}:{place.lineno})"
