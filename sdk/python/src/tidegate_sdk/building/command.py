"""`tidegate-sdk build`: runs componentize-py with the packages of this interpreter."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module, metadata
from pathlib import Path
from tempfile import TemporaryDirectory

from tidegate_sdk.building.failure import explain
from tidegate_sdk.building.places import Places, installed
from tidegate_sdk.building.worlds import ENTRY, Needs, needs, write_entry
from tidegate_sdk.declarations import WorldError


class BuildError(Exception):
    """Why there is no component. The text is for the author of the module."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status: 1 if nothing was built, with the reason on standard error."""
    options = _parser().parse_args(arguments)
    try:
        build(options.app, options.output or f"{options.app.rpartition('.')[2]}.wasm", options.path)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tidegate-sdk", description="Makes components of consumers in Python.")
    command = parser.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "build",
        help="makes the component of a module",
        description="Makes the component of a module. Run it in the directory of the sources. The component gets the "
        "packages of the environment that this command is installed in.",
    )
    command.add_argument("app", metavar="APP", help="the module that has `Consumer`: `app` is the file app.py")
    command.add_argument("-o", "--output", metavar="FILE", help="the component; APP.wasm otherwise")
    command.add_argument(
        "-p",
        "--path",
        metavar="DIR",
        action="append",
        default=[],
        help="a further directory of modules, or of files that are read at the top of a module; may be given often",
    )
    return parser


def build(app: str, output: str, path: Sequence[str] = ()) -> None:
    """Builds the component of the module `app` in the current directory.

    `path` has further directories. Raises `BuildError`.
    """
    places = Places([".", *path], installed())
    _check(app, places)
    script = _componentize()
    if Path(output).is_dir():
        raise BuildError(f"{output} is a directory: -o names the file that is made, such as {output}/{app}.wasm")
    try:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(f"the directory of {output} cannot be made: {error}") from None
    # componentize-py looks there for more packages, or else in the environment of any `python` on PATH.
    if sys.prefix != sys.base_prefix:
        os.environ["VIRTUAL_ENV"] = sys.prefix
    needed = needs(app, places)
    before = sys.argv
    try:
        try:
            _run(script, app, output, places, needed)
        except Exception as error:
            if f"{WorldError.__name__}: " not in str(error):
                raise
            _run(script, app, output, places, replace(needed, is_declaring=not needed.is_declaring))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        # A panic of componentize-py is no `Exception`.
        raise BuildError(explain(str(error), app, places)) from None
    finally:
        sys.argv = before


def _run(script: Callable[[], None], app: str, output: str, places: Places, needed: Needs) -> None:
    """Runs componentize-py."""
    paths = places.all
    with TemporaryDirectory() as directory:
        if needed.is_declaring:
            write_entry(app, Path(directory))
            app, paths = ENTRY, [*paths, directory]
        places_of_modules = [part for place in paths for part in ("-p", place)]
        sys.argv = ["componentize-py", "-w", needed.world, "componentize", *places_of_modules, app, "-o", output]
        script()


def _check(app: str, places: Places) -> None:
    """Finds what needs no build to be found."""
    if app.endswith(".py") or "/" in app:
        raise BuildError(f"`{app}` is a file, and a module is asked for: write `{Path(app).stem}`, in its directory")
    for directory in places.own:
        if not Path(directory).is_dir():
            raise BuildError(f"-p {directory}: there is no such directory")
    if places.find(app) is None:
        here = sorted(file.stem for file in Path().glob("*.py"))
        has = f"here are {', '.join(f'`{name}`' for name in here)}" if here else "there is no file of Python"
        raise BuildError(
            f"there is no module `{app}` in {Path.cwd()} ({has}): run the command in the directory of the sources"
        )


def _componentize() -> Callable[[], None]:
    """The entry of componentize-py, in the version that this package pins."""
    pins = (re.fullmatch(r"componentize-py==([\w.]+)", it) for it in metadata.requires("tidegate-sdk") or [])
    pinned = next(pin[1] for pin in pins if pin)
    fix = f"run {sys.executable} -m pip install componentize-py=={pinned}"
    try:
        has = metadata.version("componentize-py")
        script: Callable[[], None] = import_module("componentize_py").script
    except (ImportError, metadata.PackageNotFoundError) as error:
        reason = "" if isinstance(error, ModuleNotFoundError) else f" ({error})"
        raise BuildError(f"componentize-py, which makes components, is not there{reason}: {fix}") from None
    if has != pinned:
        raise BuildError(f"componentize-py is there as {has}, and this SDK needs {pinned}: {fix}")
    return script
