"""Greetings over HTTP."""

from dataclasses import dataclass

from tidegate_sdk import Json, export, http


@http("GET /module-name/{name}")
def hello(name: str) -> str:
    return f"Hello, {name}!\n"


@dataclass
class Wish:
    """Whom to greet."""

    name: str


@dataclass
class Greeting:
    """A greeting."""

    text: str


@http("POST /module-name")
def greet(wish: Json[Wish]) -> Greeting:
    return Greeting(f"Hello, {wish.name}!")


Consumer = export(hello, greet)
