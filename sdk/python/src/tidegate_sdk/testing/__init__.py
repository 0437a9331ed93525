"""Runs consumers natively, without WebAssembly and without a host: for tests.

`TestHost` takes what `export` made and has an in-memory channel layer with the rules of the real one: an outbox that is
sent in order after a run without a fault and dropped after any other, one event of a connection at a time, names and
ownership of channels and groups, requests on hold, delayed messages, state of at most 16 KiB, an outbox of at most
1,000 entries and 8 MiB, the transactions of the store, members and histories of groups, and sessions. The test plays
the servers outside: `TestHost.fetch`.

Time stands still until `TestHost.advance`, and `Context.now` tells it. What the test host leaves out: fuel, memory and
deadlines, full channels, the loss of messages, the bounds that an operator sets, the rules about pages of other sites,
and that the modules of a component are those imported while it was built.
"""

from tidegate_sdk.testing.clients import Denied, TestResponse, TestSocket
from tidegate_sdk.testing.host import TestHost
from tidegate_sdk.testing.outside import TestFetch
from tidegate_sdk.testing.world import Fault, LogLine, Sent

__all__ = ["Denied", "Fault", "LogLine", "Sent", "TestFetch", "TestHost", "TestResponse", "TestSocket"]
