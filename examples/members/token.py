"""Prints a token for the demo, as a login would sign it:

    python3 token.py ada name=Ada role=owner

It is valid for an hour. The secret is that of tidegate.toml in this folder.
"""

import base64
import hashlib
import hmac
import json
import sys
import time
import tomllib
from pathlib import Path


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(secret: str, identity: str, claims: dict[str, object]) -> str:
    payload = {**claims, "sub": identity, "exp": int(time.time()) + 3600}
    signed = ".".join(encode(json.dumps(part).encode()) for part in ({"alg": "HS256"}, payload))
    return f"{signed}.{encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


if __name__ == "__main__":
    if len(sys.argv) < 2 or not all("=" in claim for claim in sys.argv[2:]):
        sys.exit(__doc__)
    settings = tomllib.loads((Path(__file__).parent / "tidegate.toml").read_text())
    named = dict(claim.split("=", 1) for claim in sys.argv[2:])
    print(token(settings["auth"]["members"]["secret"], sys.argv[1], named))
