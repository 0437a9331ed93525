"""Imports what the standard library needs at run time.

A component has the modules that were imported while it was built, and no others.
"""
# ruff: noqa: F401

import _strptime
import encodings.ascii
import encodings.cp1252
import encodings.idna
import encodings.latin_1
import encodings.punycode
import encodings.utf_8_sig
import encodings.utf_16
import encodings.utf_32
import linecache
import stringprep
import traceback
import unicodedata
