"""What a failed build says: the lines of the author's own files, the error once, and the fix."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from tidegate_sdk.building.places import Places

_FRAME = re.compile(r'^  File "([^"]+)", line \d+(, in )?')
_MOUNTED = re.compile(r"(?<![\w./])/\d+/[\w./-]+\.py\b")
_HEADER = "Traceback (most recent call last):"


def explain(text: str, app: str, places: Places) -> str:
    """Says in a few lines why componentize-py could not build `app`. `text` is what it raised.

    >>> places = Places(["."], [])
    >>> print(explain('''Traceback (most recent call last):
    ...   File "/0/app.py", line 2, in <module>
    ...     1 / 0
    ... ZeroDivisionError: division by zero
    ...
    ...
    ... Caused by:
    ...     ZeroDivisionError: division by zero
    ...
    ... Stack backtrace:
    ...    0: anyhow::format_err''', "app", places))
    Traceback (most recent call last):
      File "app.py", line 2, in <module>
        1 / 0
    ZeroDivisionError: division by zero
    """
    said, _, rest = text.partition("\n\nCaused by:\n")
    said = said.partition("\n\nStack backtrace:\n")[0].strip("\n")
    cause = _cause(rest.partition("\n\nStack backtrace:\n")[0])
    if not _is_raised(cause, said):
        # Without a cause, what was said is the error. Otherwise the module may have printed it.
        printed, error = (said, _ended(cause)) if cause else ("", said)
        return f"{printed}\n`{app}` could not be built: {error}".lstrip("\n")
    shown = "\n".join(_own_lines(said, places))
    fix = _fix(cause, said, app, places)
    if _HEADER not in said and cause.startswith(("AttributeError", "TypeError")) and fix:
        return fix
    return f"{shown}\n\n{fix}" if fix else shown


def _cause(causes: str) -> str:
    """The innermost cause. Several are numbered."""
    numbered = re.split(r"^    \d+: ", causes, flags=re.MULTILINE)
    return "\n".join(line.strip() for line in numbered[-1].splitlines()).strip()


def _is_raised(cause: str, said: str) -> bool:
    """Whether the cause is an exception of Python, which is said already."""
    kind = re.match(r"\w+", cause)
    return kind is not None and re.search(rf"^([\w.]+\.)?{kind[0]}(:|$)", said, re.MULTILINE) is not None


def _ended(cause: str) -> str:
    if cause.startswith("Exited with"):
        return (
            "the code at the top of a file ended the build, as `sys.exit` does: a module that is built only defines "
            "its consumers there"
        )
    return cause


def _own_lines(text: str, places: Places) -> Iterator[str]:
    """The lines without the frames of packages, of the SDK and of Python."""
    header: str | None = None
    is_frame = is_kept = False
    for line in text.splitlines():
        if line == _HEADER:
            header, is_frame = line, False
            continue
        if frame := _FRAME.match(line):
            file = places.own_file(frame[1])
            # One without a function is the place of an error of syntax.
            is_frame, is_kept = True, file is not None or frame[2] is None
            if is_kept and header is not None:
                yield header
                header = None
            if is_kept:
                yield line.replace(frame[1], file or frame[1], 1)
            continue
        is_frame = is_frame and line.startswith(("    ", "  ["))
        if is_frame and not is_kept:
            continue
        if not is_frame:
            header = None
            line = line.removeprefix("tidegate_sdk.errors.")
        yield _MOUNTED.sub(lambda it: places.own_file(it[0]) or it[0], line)


def _fix(cause: str, said: str, app: str, places: Places) -> str:
    if cause == f"AttributeError: module '{app}' has no attribute 'Consumer'":
        return f"`{app}` has no `Consumer`: name the consumers at the end of the file: Consumer = export(hello, Chat)"
    if _HEADER not in said and re.fullmatch(r"TypeError: '\w+' object is not callable", cause):
        return f"`Consumer` of `{app}` is no list of consumers: write Consumer = export(hello, Chat)"
    if not cause.startswith(("ImportError", "ModuleNotFoundError")):
        return ""
    for module in re.findall(r"(?:No module named|from|import of|importing) '?([A-Za-z_][\w.]*)", said):
        if file := places.native_file(module):
            name = module.partition(".")[0]
            return (
                f"`{name}` has native code ({file}), and a component runs pure Python only: use a package that is "
                "pure Python, or leave that work to a program beside Tidegate"
            )
    if missing := re.match(r"ModuleNotFoundError: No module named '([^']+)'", cause):
        return _not_found(missing[1])
    return ""


def _not_found(module: str) -> str:
    name = module.partition(".")[0]
    if name in sys.stdlib_module_names:
        return (
            f"`{name}` is not in the Python of a component, which is CPython 3.14 without sockets, threads, processes "
            "and what needs a library of the system: do without it, or leave that work to a program beside Tidegate"
        )
    return (
        f"there is no `{name}`: name the package that has it in requirements.txt and install that "
        f"({sys.executable} -m pip install -r requirements.txt); a file of your own has to be in this directory, or "
        "in one that -p names"
    )
