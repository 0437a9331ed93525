"""Tidegate's channel layer for programs in Python.

`Client` is for programs with an event loop, `SyncClient` for those without. `tidegate.channels` is a
channel layer for Django Channels, and `tidegate.frames` makes messages that sockets understand.
"""

from .client import Client, GroupSent
from .errors import (
    ChannelFull,
    Closed,
    ConfigError,
    ForeignChannel,
    InvalidMessage,
    InvalidName,
    LayerUnavailable,
    LayoutError,
    MessageTooLarge,
    TidegateError,
    UnsuitableServer,
)
from .sync import SyncClient

__version__ = "0.1.0"

__all__ = [
    "ChannelFull",
    "Client",
    "Closed",
    "ConfigError",
    "ForeignChannel",
    "GroupSent",
    "InvalidMessage",
    "InvalidName",
    "LayerUnavailable",
    "LayoutError",
    "MessageTooLarge",
    "SyncClient",
    "TidegateError",
    "UnsuitableServer",
]
