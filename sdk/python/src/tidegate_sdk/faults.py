"""Faults: exceptions that a consumer does not catch."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from tidegate_sdk import logs
from tidegate_sdk.context import write_log
from tidegate_sdk.entries import Entry
from tidegate_sdk.errors import ConsumerError, StateUnreadable
from tidegate_sdk.wire import Event, Failed, Host, Invocation

_PACKAGE = str(Path(__file__).parent)

# componentize-py mounts each directory of the path below a number.
_MOUNT = re.compile(r"^/\d+/")


class RunEnded(BaseException):
    """The host ends a run where it stands. No consumer can catch it with `except Exception`."""


def guarded(entry: Entry, host: Host, invocation: Invocation, event: Event) -> None:
    """Runs a consumer. An exception becomes the fault `failed`, and its traceback lines of the record.

    Raises `StateUnreadable` and `Failed`, and nothing else of the consumer's.
    """
    attached = logs.attach(host)
    try:
        entry.run(host, invocation, entry.prefix, event)
    except (StateUnreadable, RunEnded, KeyboardInterrupt):
        raise
    except ConsumerError as error:
        raise Failed(str(error)) from None
    except BaseException as error:
        for line in traceback.format_exception(error):
            write_log(host.log, "error", line)
        raise Failed(describe(error, entry.place)) from None
    finally:
        logs.detach(attached)


def describe(error: BaseException, place: str) -> str:
    """The exception in one line, with where it was raised.

    That is the innermost line of the consumer's own code. For a value that it returned, and that is no answer, it is
    the place of the consumer.

    >>> try:
    ...     {}["tide"]
    ... except KeyError as error:
    ...     text = describe(error, "app.py:1")
    >>> text.startswith("KeyError: 'tide' (at ")
    True
    """
    text = " ".join(f"{type(error).__name__}: {error}".removesuffix(": ").split())
    own = [it for it in traceback.extract_tb(error.__traceback__) if not _is_own(it.filename)]
    if isinstance(error, ModuleNotFoundError):
        text += (
            ": a component has the modules that were imported while it was built, so import it at the top of the file"
        )
    return f"{text} (at {shown(f'{own[-1].filename}:{own[-1].lineno}' if own else place)})"


def shown(place: str) -> str:
    """A place without the directory where the build had the file."""
    return _MOUNT.sub("", place)


def _is_own(filename: str) -> bool:
    # `<string>` is code that was made, such as that of dataclasses.
    return filename.startswith(("<", _PACKAGE)) or shown(filename).startswith("tidegate_sdk/")
