"""Files that the browser loads: those of a page, and the JavaScript client as it is published.

They are read when the component is built, from directories that the build has on its path.
"""

import hashlib
import sys
from pathlib import Path

from tidegate_sdk import Request, Response


def read(folder: str, known: str, suffixes: tuple[str, ...]) -> dict[str, str]:
    """Names and contents of the files in a folder on the path, the one that has the known file."""
    found = next(Path(place, folder) for place in sys.path if Path(place, folder, known).is_file())
    return {file.name: file.read_text(encoding="utf-8") for file in found.iterdir() if file.suffix in suffixes}


CLIENT = read("src", "index.js", (".js",))


def serve(files: dict[str, str], name: str, request: Request) -> Response:
    """The file of that name. The browser keeps it, and asks each time whether it is still the same."""
    if name not in files:
        return Response.text("There is no such file.\n", status=404)
    body = files[name].encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    kept = (request.header("if-none-match") or "").split(",")
    # A proxy that compresses makes the tag a weak one.
    is_same = any(it.strip().removeprefix("W/") == tag for it in kept)
    content_type = "text/css" if name.endswith(".css") else "text/javascript"
    return (
        (Response(304) if is_same else Response(200, body))
        .header("content-type", f"{content_type}; charset=utf-8")
        .header("cache-control", "no-cache")
        .header("etag", tag)
        .header("x-content-type-options", "nosniff")
    )
