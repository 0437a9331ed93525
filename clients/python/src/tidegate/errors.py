"""The errors of this package. Each message says what is wrong, the rule, and the fix."""

from __future__ import annotations


class TidegateError(Exception):
    """Anything that this package refuses or cannot do."""


class ConfigError(TidegateError, ValueError):
    """A setting that is wrong, or one that this package does not have."""


class InvalidName(TidegateError, TypeError):
    """A channel or group name that the layer does not take. Channels raises `TypeError`, too."""


class InvalidMessage(TidegateError, TypeError):
    """A message with a value that the layer does not carry."""


class MessageTooLarge(TidegateError, ValueError):
    """A message beyond `message_bytes`."""


class ChannelFull(TidegateError):
    """The channel holds as many messages as it may, or the inbox of its process as many bytes."""


class ForeignChannel(TidegateError, AssertionError):
    """A channel of another process was to be received from. Channels raises `AssertionError`, too."""


class LayoutError(TidegateError):
    """The data in Redis has another version or another number of partitions."""


class UnsuitableServer(TidegateError):
    """The server is too old, a replica, or may drop keys that are in use."""


class LayerUnavailable(TidegateError, ConnectionError):
    """Redis is not reached, or did not answer in time."""


class Closed(TidegateError, RuntimeError):
    """The client was closed."""
