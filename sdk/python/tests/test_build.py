"""The command that makes a component: what it says when there is none."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate_sdk.building import command
from tidegate_sdk.building.command import BuildError, build, main
from tidegate_sdk.building.failure import explain
from tidegate_sdk.building.places import Places, installed
from tidegate_sdk.building.worlds import needs

COMMAND = str(Path(sys.executable).with_name("tidegate-sdk"))
PLACES = Places([".", "../pages"], installed())


def raised(said: str, cause: str) -> str:
    """What componentize-py 0.25.1 raises."""
    native = "\n".join(f"{number:4}: <componentize_py::Generator>::generate" for number in range(40))
    return f"{said}\n\n\nCaused by:\n    {cause}\n\nStack backtrace:\n{native}"


def traceback(error: str, *frames: str) -> str:
    lines = [f'  File "{frame}", line 3, in <module>\n    the_line()\n    ~~~~~~~~^^' for frame in frames]
    return raised(
        "\n".join(["Traceback (most recent call last):", *lines, error]), error.removeprefix("tidegate_sdk.errors.")
    )


def test_a_build_that_fails_shows_the_lines_of_the_author(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("from tidegate_sdk import export\nimport other\nConsumer = export()\n")
    (tmp_path / "other.py").write_text("from tidegate_sdk import http\n\nhttp('hello')\n")
    # Nothing is activated.
    environment = {key: os.environ[key] for key in os.environ if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(
        [COMMAND, "build", "app", "-o", "made/for/app.wasm"],
        cwd=tmp_path,
        env=environment | {"PATH": os.defpath},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Traceback (most recent call last):\n"
        '  File "app.py", line 2, in <module>\n'
        "    import other\n"
        '  File "other.py", line 3, in <module>\n'
        "    http('hello')\n"
        "    ~~~~^^^^^^^^^\n"
        "ConsumerError: @http('hello'): write a method, a space and a path\n"
    )
    assert (tmp_path / "made/for").is_dir()


def test_frames_of_packages_and_of_python_are_left_out() -> None:
    frames = ("/0/app.py", "/1/page.py", "/2/msgpack/ext.py", "/python/json/decoder.py", "/0/v/site-packages/a.py")
    assert explain(traceback("ValueError: boom", *frames), "app", PLACES) == (
        "Traceback (most recent call last):\n"
        '  File "app.py", line 3, in <module>\n    the_line()\n    ~~~~~~~~^^\n'
        '  File "../pages/page.py", line 3, in <module>\n    the_line()\n    ~~~~~~~~^^\n'
        "ValueError: boom"
    )
    assert explain(traceback("ValueError: boom", "/2/a.py"), "app", PLACES) == "ValueError: boom"


def test_an_error_with_several_lines_is_said_once() -> None:
    text = traceback("ValueError: boom\n    and more", "/0/app.py")
    assert explain(text, "app", PLACES).endswith("~~~~~~~~^^\nValueError: boom\n    and more")


def test_a_place_in_the_text_of_an_error_is_that_of_the_file() -> None:
    text = traceback("tidegate_sdk.errors.ConsumerError: hello (/0/app.py:6): no", "/0/app.py", "/2/tidegate_sdk/a.py")
    assert explain(text, "app", PLACES).splitlines()[-1] == "ConsumerError: hello (app.py:6): no"


def test_an_error_of_syntax_has_its_place() -> None:
    said = '  File "/0/app.py", line 1\n    def f(:\n          ^\nSyntaxError: invalid syntax'
    text = raised(said, "SyntaxError: invalid syntax (app.py, line 1)")
    assert explain(text, "app", PLACES) == said.replace("/0/", "")


def test_what_was_printed_is_shown() -> None:
    text = "said\n" + traceback("ValueError: boom", "/0/app.py")
    assert explain(text, "app", PLACES).startswith("said\nTraceback")


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        ("ModuleNotFoundError: No module named 'nothere.more'", "there is no `nothere`: name the package that has it"),
        ("ModuleNotFoundError: No module named '_ssl'", "`_ssl` is not in the Python of a component"),
        (
            "ImportError: cannot import name 'ArgsKwargs' from 'pydantic_core._pydantic_core' (unknown location)",
            "`pydantic_core` has native code (",
        ),
        ("ModuleNotFoundError: No module named 'msgpack._cmsgpack'", "`msgpack` has native code ("),
    ],
)
def test_a_module_that_cannot_be_imported_has_a_fix(error: str, fix: str) -> None:
    shown, _, said = explain(traceback(error, "/0/app.py"), "app", PLACES).partition("\n\n")
    assert shown.endswith(error)
    assert said.startswith(fix)


def test_a_module_without_consumers_has_a_fix() -> None:
    error = "AttributeError: module 'app' has no attribute 'Consumer'"
    assert explain(raised(error, error), "app", PLACES).startswith("`app` has no `Consumer`: name the consumers")
    error = "TypeError: 'int' object is not callable"
    assert explain(raised(error, error), "app", PLACES).startswith("`Consumer` of `app` is no list of consumers")
    # The module that the build writes for one with a schedule asks for it.
    error = "AttributeError: module 'app' has no attribute 'Consumer'"
    shown, _, fix = explain(traceback(error, "/3/tidegate_declaring_entry.py"), "app", PLACES).partition("\n\n")
    assert (shown, fix.partition(":")[0]) == (error, "`app` has no `Consumer`")
    # One that has lines is of something else.
    error = "AttributeError: module 'app' has no attribute 'x'"
    assert explain(traceback(error, "/0/app.py"), "app", PLACES).endswith(error)


def test_an_end_without_an_exception_has_its_reason() -> None:
    native = "0: error while executing at wasm backtrace:\n           0: 0x228e7 - libc.so!exit\n    1: "
    text = raised("said", f"{native}Exited with i32 exit status 1")
    assert explain(text, "app", PLACES).startswith("said\n`app` could not be built: the code at the top")
    text = raised("", f"{native}wasm trap: call stack exhausted")
    assert explain(text, "app", PLACES) == "`app` could not be built: wasm trap: call stack exhausted"
    text = "No space left on device (os error 28)\n\nStack backtrace:\n   0: native"
    assert explain(text, "app", PLACES) == "`app` could not be built: No space left on device (os error 28)"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tide"], "there is no module `tide` in {here} (here are `app`): run the command in the directory of the"),
        (["app.py"], "`app.py` is a file, and a module is asked for: write `app`"),
        (["app", "-p", "pages"], "-p pages: there is no such directory"),
        (["app", "-o", "."], ". is a directory: -o names the file that is made, such as ./app.wasm"),
        (["app", "-o", "app.py/app.wasm"], "the directory of app.py/app.wasm cannot be made: "),
    ],
)
def test_a_mistake_in_the_call_is_said_at_once(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "app.py").write_text("")
    monkeypatch.chdir(tmp_path)
    assert main(["build", *arguments]) == 1
    assert capsys.readouterr().err.startswith(said.format(here=Path.cwd()))


def test_a_tool_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app.py").write_text("")
    monkeypatch.chdir(tmp_path)
    fix = f"run {sys.executable} -m pip install componentize-py==0.25.1"
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.24.0")
    with pytest.raises(BuildError, match=r"is there as 0\.24\.0, and this SDK needs 0\.25\.1: ") as other:
        build("app", "app.wasm")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "componentize_py", None)
    with pytest.raises(BuildError, match="which makes components, is not there: ") as missing:
        build("app", "app.wasm")
    assert str(other.value).endswith(fix)
    assert str(missing.value).endswith(fix)


def test_the_tool_gets_the_packages_of_this_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(command, "_componentize", lambda: lambda: called.append(sys.argv))
    monkeypatch.setenv("VIRTUAL_ENV", "/of/another")
    (tmp_path / "app.py").write_text("")
    (tmp_path / "pages").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["build", "app", "-p", "pages"]) == 0
    packages = str(Path(command.__file__).parents[2])
    world = ["-w", "tidegate-module"]
    assert called[0][:8] == ["componentize-py", *world, "componentize", "-p", ".", "-p", "pages"]
    assert packages in called[0]
    assert called[0][-3:] == ["app", "-o", "app.wasm"]
    assert os.environ["VIRTUAL_ENV"] == sys.prefix


SCHEDULED = """
from tidegate_sdk import channel, export, schedule

@schedule("@daily")
@channel("shop.report")
def report() -> None: ...

Consumer = export(report)
"""


@pytest.mark.parametrize(
    ("files", "is_named"),
    [
        ({"app.py": SCHEDULED}, True),
        ({"app.py": "from shop.night import Consumer", "shop/__init__.py": "", "shop/night.py": SCHEDULED}, True),
        ({"app.py": "import shop", "shop/__init__.py": "from . import night", "shop/night.py": SCHEDULED}, True),
        ({"app.py": "import tidegate_sdk\ntidegate_sdk.schedule"}, True),
        ({"app.py": "from tidegate_sdk import *"}, True),
        ({"app.py": "from tidegate_sdk import User, http, user"}, True),
        ({"app.py": "from tidegate_sdk import claims"}, True),
        ({"app.py": "from tidegate_sdk import presence"}, True),
        ({"app.py": "from tidegate_sdk import history"}, True),
        ({"app.py": "from tidegate_sdk import websocket\n@websocket('/', resume='2m')\nclass A: ..."}, True),
        ({"app.py": "from tidegate_sdk import websocket\nresume = '2m'  # resume=resume"}, False),
        ({"app.py": "from tidegate_sdk import User\nuser = claims = schedule = presence = None"}, False),
        ({"app.py": "from calendar import schedule", "calendar.py": ""}, False),
        ({"app.py": "from tidegate_sdk import channel  # and no schedule", "test_app.py": SCHEDULED}, False),
        ({"app.py": "def f(:"}, False),
        ({"app.py": "from ... import shop"}, False),
    ],
)
def test_the_world_is_chosen_by_the_imports(
    files: dict[str, str], is_named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    called: list[list[str]] = []
    monkeypatch.setattr(command, "_componentize", lambda: lambda: called.append(sys.argv))
    build("app", "app.wasm")
    [arguments] = called
    world = arguments[arguments.index("-w") + 1]
    assert (world, arguments[-3]) == (
        ("tidegate-declaring-module", "tidegate_declaring_entry") if is_named else ("tidegate-module", "app")
    )


@pytest.mark.parametrize(
    ("text", "world"),
    [
        ("from tidegate_sdk import http\ncx.fetch_now('GET', url)", "tidegate-waiting-module"),
        ("from tidegate_sdk import user\nself.cx.fetch_now('GET', url)", "tidegate-declaring-waiting-module"),
        ("from tidegate_sdk import http\ncx.fetch('GET', url)  # no fetch_now", "tidegate-module"),
        ("fetch_now = 'cx.fetch_now'", "tidegate-module"),
    ],
)
def test_only_a_module_that_names_fetch_now_imports_what_needs_a_grant(
    text: str, world: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert needs("app", Places(["."], [])).world == world


def test_a_world_that_does_not_fit_is_left_for_the_other_one_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text("")
    monkeypatch.chdir(tmp_path)
    worlds: list[str] = []

    def script() -> None:
        worlds.append(sys.argv[2])
        raise AssertionError(traceback("tidegate_sdk.declarations.WorldError: report has a schedule", "/2/a.py"))

    monkeypatch.setattr(command, "_componentize", lambda: script)
    with pytest.raises(BuildError, match=r"WorldError: report has a schedule"):
        build("app", "app.wasm")
    assert worlds == ["tidegate-module", "tidegate-declaring-module"]
