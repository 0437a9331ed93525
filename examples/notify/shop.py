"""A shop, which places an order and delivers it as a signed webhook. `--help` lists the arguments."""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import random
import secrets
import sys
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

HOOK = "http://127.0.0.1:8000/hooks/orders"
ITEMS = ["Barometer", "Compass", "Deck chair", "Lantern", "Sextant", "Tide table"]
TIMEOUT_SECONDS = 10


def grants() -> dict[str, dict[str, str]]:
    """The grants of the demo, which have the secret that shop and module share."""
    settings = tomllib.loads(Path(__file__).with_name("tidegate.toml").read_text("utf-8"))
    found: dict[str, dict[str, str]] = settings["modules"]["notify"]["grants"]
    return found


def place(hook: str, order_id: str = "", item: str = "", email: str = "ada@example.com") -> tuple[int, str]:
    """Delivers an order. Returns the status and the text of the answer. A shop delivers again until it is 2xx."""
    order = {"id": order_id or f"A-{secrets.token_hex(4)}", "item": item or random.choice(ITEMS), "email": email}
    body = json.dumps(order).encode()
    # Over the bytes that are sent: another spelling of the same JSON has another signature.
    signature = hmac.new(grants()["secrets"]["ORDERS_SECRET"].encode(), body, hashlib.sha256).hexdigest()
    fields = {"content-type": "application/json", "x-hub-signature-256": f"sha256={signature}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(hook, body, fields), timeout=TIMEOUT_SECONDS) as answer:
            return answer.status, f"{order['id']}: {answer.read().decode()}"
    except urllib.error.HTTPError as answer:
        return answer.code, f"{order['id']}: {answer.read().decode()}"
    except OSError as error:
        return 502, f"{hook} cannot be reached: {error}\n"


def main() -> int:
    """Places the order that the arguments name. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Places an order, and delivers it as a signed webhook.")
    parser.add_argument("item", nargs="?", default="", help="what is ordered")
    parser.add_argument("email", nargs="?", default="ada@example.com", help="the customer")
    parser.add_argument("--hook", default=HOOK, help="where orders are delivered")
    parser.add_argument("--id", default="", help="the id of the order; with one that is known it is delivered again")
    wish = parser.parse_args()
    status, text = place(wish.hook, wish.id, wish.item, wish.email)
    print(status, text, end="")
    return 0 if 200 <= status < 300 else 1


if __name__ == "__main__":
    sys.exit(main())
