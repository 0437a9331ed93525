"""Reads the URL of Redis: one server, independent shards, behind Sentinel, or a Cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from redis.asyncio.connection import SSLConnection, parse_url

from .errors import ConfigError

CLUSTER_PARTITIONS = 8
_FORMS = (
    "use redis://HOST:PORT/DB, several of them with commas, redis+sentinel://HOST,HOST/MASTER/DB or"
    " redis+cluster://HOST,HOST; rediss is with TLS. Percent-encode special characters of"
    " USER:PASSWORD@ (%2C for a comma, %40 for @, %2F for a slash, %3A for a colon)"
)


@dataclass(frozen=True)
class Address:
    """A server, and how to log in there. The text of it has no password."""

    settings: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        if "path" in self.settings:
            return f"unix://{self.settings['path']}"
        return f"{self.host}:{self.port}"

    @property
    def host(self) -> str:
        """Returns the name or the IP address."""
        return str(self.settings.get("host") or "localhost")

    @property
    def port(self) -> int:
        """Returns the port."""
        return int(self.settings.get("port") or 6379)

    def at(self, host: str, port: int) -> Address:
        """Returns the same login at another server."""
        return Address(self.settings | {"host": host, "port": port})

    def logged_in(self, username: str | None, password: str | None) -> Address:
        """Returns the same server with this login, or with none where the password is empty."""
        if username is None and password is None:
            return self
        kept = {k: v for k, v in self.settings.items() if k not in ("username", "password")}
        if password:
            kept |= {"password": password} | ({"username": username} if username else {})
        return Address(kept)

    def without_database(self) -> Address:
        """Returns the same server and login at database 0."""
        return Address(self.settings | {"db": 0})

    def speaking_tls(self, wanted: bool | None) -> Address:
        """Returns the same server with or without TLS."""
        if wanted is None:
            return self
        kept = {k: v for k, v in self.settings.items() if k != "connection_class"}
        return Address(kept | ({"connection_class": SSLConnection} if wanted else {}))


@dataclass(frozen=True)
class Servers:
    """Independent servers; a partition is on the one whose number it has, counted round."""

    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class Sentinels:
    """Sentinels, which know where a master is."""

    addresses: tuple[Address, ...]
    master: str
    server: Address


@dataclass(frozen=True)
class Cluster:
    """Nodes of a Cluster, each of which knows who has a slot."""

    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class Topology:
    """The servers of a URL."""

    kind: Servers | Sentinels | Cluster

    @property
    def partitions(self) -> int:
        """Returns how many partitions there are unless the settings say otherwise."""
        match self.kind:
            case Servers(addresses):
                return len(addresses)
            case Sentinels():
                return 1
            case _:
                return CLUSTER_PARTITIONS


def parse(
    url: str,
    *,
    username: str | None = None,
    password: str | None = None,
    sentinel_username: str | None = None,
    sentinel_password: str | None = None,
    sentinel_tls: bool | None = None,
) -> Topology:
    """Reads a URL. Logins that are given replace those of the URL. No error shows a part of it."""
    if not isinstance(url, str) or "://" not in url:
        raise _wrong("it has no scheme")
    scheme, rest = url.split("://", 1)
    if "+" not in scheme:
        servers = [_address(part).logged_in(username, password) for part in url.split(",")]
        return Topology(Servers(tuple(servers)))
    scheme, kind = scheme.split("+", 1)
    authority, _, path = rest.partition("/")
    login, at, hosts = authority.rpartition("@")
    if kind == "cluster" and path not in ("", "0"):
        raise _wrong("a Cluster has database 0 only")
    master, _, database = path.partition("/")
    if kind == "cluster":
        database = "0"
    found = [_address(f"{scheme}://{login}{at}{host}/{database or 0}") for host in hosts.split(",")]
    servers = [address.logged_in(username, password) for address in found]
    if kind == "cluster":
        return Topology(Cluster(tuple(servers)))
    if kind != "sentinel":
        raise _wrong("its scheme is not known")
    if not master:
        raise _wrong("the name of the master is missing")
    sentinels = (
        address.logged_in(sentinel_username, sentinel_password)
        .without_database()
        .speaking_tls(sentinel_tls)
        for address in found
    )
    return Topology(Sentinels(tuple(sentinels), master, servers[0]))


def _address(url: str) -> Address:
    try:
        settings: dict[str, Any] = dict(parse_url(url))
    except (ValueError, TypeError):
        # The library's message may show the URL, and with it a password.
        raise _wrong("a part of it cannot be read") from None
    return Address(settings)


def _wrong(reason: str) -> ConfigError:
    return ConfigError(f"the URL is not a valid Redis URL: {reason}; {_FORMS}")
