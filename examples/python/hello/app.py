"""Greetings over HTTP."""

from dataclasses import dataclass

from tidegate_sdk import HttpError, Request, export, http, strict


@http("GET /hello/{name}")
def hello(name: str) -> str:
    return f"Hello, {name}!\n"


@dataclass
class Greeting:
    """A greeting and the language it is in."""

    language: str
    text: str


@strict
@dataclass
class Wish:
    """Whom to greet, and how."""

    name: str
    language: str = "en"


WORDS = {"en": "Hello", "de": "Hallo", "fr": "Bonjour", "tlh": "nuqneH"}


@http("POST /hello")
def greet(request: Request) -> Greeting:
    wish = request.json(Wish)
    word = WORDS.get(wish.language)
    if word is None:
        raise HttpError(404, f"no greeting in `{wish.language}`\n")
    return Greeting(wish.language, f"{word}, {wish.name}!")


Consumer = export(hello, greet)
