"""The annotations of functions, resolved when a module is put together."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from tidegate_sdk.errors import ConsumerError


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter and its annotation, `inspect.Parameter.empty` without one."""

    name: str
    hint: Any

    @property
    def is_annotated(self) -> bool:
        return self.hint is not inspect.Parameter.empty


def parameters(function: Callable[..., Any], what: str) -> list[Parameter]:
    """The parameters that a consumer is called with."""
    hints = hints_of(function, what)
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConsumerError(f"{what} takes `{parameter}`: name each parameter, with its type")
        found.append(Parameter(name, hints.get(name, inspect.Parameter.empty)))
    return found


def hints_of(thing: Any, what: str) -> dict[str, Any]:
    """Annotations as types, those that are text included."""
    try:
        return get_type_hints(thing, include_extras=True)
    except NameError as error:
        raise ConsumerError(
            f"{what} names a type that is not there: {error}. Import or define it at the top of the file"
        ) from None
