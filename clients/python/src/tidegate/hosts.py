"""Settings as channels_redis has them, and names of groups that differ between Django and Tidegate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from .errors import ConfigError
from .names import check_group

_GAP = "set `on_gap` to the type of a message for members of groups that may have missed some"
_REFUSED = {
    "symmetric_encryption_keys": "Tidegate's consumers could not read encrypted messages: leave it out,"
    " and use TLS (rediss://)",
    "serializer_format": "messages are MessagePack, which Tidegate's consumers read: leave it out",
    "random_prefix_length": "messages have no random prefix here: leave it out",
    "on_disconnect": _GAP,
    "on_reconnect": _GAP,
}
_OPTIONS = ("ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")


def refuse_settings(settings: Mapping[str, Any]) -> None:
    """Refuses settings of channels_redis that this layer does not have, with the reason."""
    for name, reason in _REFUSED.items():
        if name in settings:
            raise ConfigError(f"there is no setting {name!r}; {reason}")


def url_of_hosts(hosts: Any) -> str:
    """Returns the URL for `hosts` of channels_redis: URLs, pairs of host and port, or dicts."""
    if isinstance(hosts, str) or not isinstance(hosts, list | tuple) or not hosts:
        raise ConfigError(
            f"hosts is {hosts!r}; it is a list such as [('localhost', 6379)], or set `url`"
        )
    urls = [_url(host) for host in hosts]
    if len(urls) > 1 and any("+" in url.split("://")[0] for url in urls):
        raise ConfigError("several hosts are shards, and none of them may be behind Sentinel")
    return ",".join(urls)


def _url(host: Any) -> str:
    if isinstance(host, str):
        return host
    if isinstance(host, list | tuple) and len(host) == 2:
        return f"redis://{host[0]}:{host[1]}/0"
    if not isinstance(host, dict):
        raise ConfigError(f"the host {host!r} is not a URL, a pair of host and port, or a dict")
    rest = dict(host)
    if "sentinels" in rest:
        return _sentinel_url(rest)
    address = rest.pop("address", None)
    if address is None:
        address = (rest.pop("host", "localhost"), rest.pop("port", 6379))
    url = _url(address)
    if "db" in rest and "://" in url and not isinstance(address, str):
        url = url.rpartition("/")[0] + f"/{rest.pop('db')}"
    if "password" in rest and not isinstance(address, str):
        login = f"{quote(rest.pop('username', '') or '', safe='')}:{quote(str(rest.pop('password')), safe='')}@"
        url = url.replace("://", f"://{login}", 1)
    query = {
        name: "none" if rest[name] is None else rest[name] for name in _OPTIONS if name in rest
    }
    _refuse_rest(rest, [name for name in rest if name not in query])
    return url + (f"?{urlencode(query)}" if query else "")


def _sentinel_url(rest: dict[str, Any]) -> str:
    sentinels = ",".join(f"{host}:{port}" for host, port in rest.pop("sentinels"))
    master, database = rest.pop("master_name", ""), rest.pop("db", 0)
    password, username = rest.pop("password", None), rest.pop("username", "") or ""
    login = f"{quote(username, safe='')}:{quote(str(password), safe='')}@" if password else ""
    if "sentinel_kwargs" in rest:
        raise ConfigError(
            "hosts has 'sentinel_kwargs'; set `sentinel_username`, `sentinel_password` and"
            " `sentinel_tls` beside it instead"
        )
    _refuse_rest(rest, list(rest))
    return f"redis+sentinel://{login}{sentinels}/{master}/{database}"


def _refuse_rest(rest: dict[str, Any], unknown: list[str]) -> None:
    if unknown:
        raise ConfigError(
            f"hosts has {unknown[0]!r}, which this layer does not know; write the host as a URL, and"
            " see the settings of tidegate.Client"
        )


class GroupPrefixes:
    """Maps the start of group names in Django to that in Tidegate."""

    def __init__(self, prefixes: Mapping[str, str]) -> None:
        for here, there in prefixes.items():
            if not (here and isinstance(there, str)):
                raise ConfigError(
                    f"groups has {here!r}: {there!r}; it is a text for a text, {{'chat_': 'chat.'}}"
                )
        # The longest decides.
        self._prefixes = sorted(prefixes.items(), key=lambda pair: -len(pair[0]))

    def map(self, group: str) -> str:
        """Returns the name in Tidegate, or raises `InvalidName`."""
        check_group(group)
        for here, there in self._prefixes:
            if group.startswith(here):
                return check_group(there + group[len(here) :])
        return group
