"""Imports what the standard library needs at run time.

A component has the modules that were imported while it was built, and no others. Some modules of the standard library
import others when a function of theirs is called.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress

_ALWAYS = (
    "_strptime",
    "encodings.ascii",
    "encodings.cp1252",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.punycode",
    "encodings.utf_16",
    "encodings.utf_32",
    "encodings.utf_8_sig",
    "stringprep",
    "unicodedata",
)

# Imports within functions of a module, as CPython 3.14 has them. Those that need processes, sockets or command lines
# are left out: a component has none.
_BY_MODULE = {
    "ast": ("_ast_unparse",),
    "collections": ("copy", "heapq"),
    "csv": ("re",),
    "difflib": ("re",),
    "email.message": ("email.generator", "email.policy"),
    "email.utils": ("email.charset", "random"),
    "fractions": ("decimal",),
    "functools": ("typing", "weakref"),
    "gettext": ("copy", "locale", "re", "struct"),
    "gzip": ("zlib",),
    "hashlib": ("_blake2", "_md5", "_sha1", "_sha2", "_sha3"),
    "hmac": ("hashlib",),
    "ipaddress": ("re",),
    "linecache": ("tokenize",),
    "logging": ("pickle",),
    "mimetypes": ("urllib.parse",),
    "pprint": ("dataclasses", "re"),
    "random": ("_sha2", "statistics"),
    "string": ("collections", "re"),
    "traceback": ("_suggestions", "ast", "difflib", "unicodedata"),
    "types": ("functools",),
    "urllib.parse": ("unicodedata",),
    "uuid": ("hashlib", "random"),
    "xml.etree.ElementTree": ("xml.parsers.expat",),
}


def load() -> None:
    """Imports it for the modules that the application has imported so far, and for those that this brings."""
    wanted = list(_ALWAYS)
    seen: set[str] = set()
    while wanted:
        for name in wanted:
            seen.add(name)
            with suppress(ImportError):
                importlib.import_module(name)
        loaded = [later for module, later in _BY_MODULE.items() if module in sys.modules]
        wanted = sorted({name for later in loaded for name in later} - seen)
