"""The examples pass the cases of their Rust versions, natively."""

from __future__ import annotations

import doctest

import pytest
from examples import ALL, Example

from tidegate_sdk.testing import TestHost
from tidegate_sdk.testing.cases import Cases, TestHostDriver


@pytest.mark.parametrize("example", ALL, ids=lambda it: it.name)
def test_cases_hold_natively(example: Example) -> None:
    host = TestHost(example.load().Consumer, example.name)
    Cases(example.cases).run(TestHostDriver(host))
    assert [fault for fault in host.faults if "ValueError: boom" not in fault.text] == []
    assert host.drops == []


def test_primes_are_counted() -> None:
    import primes

    assert doctest.testmod(primes).failed == 0
    parts = [primes.within(start, start + 1000) for start in range(0, 10_000, 1000)]
    assert sum(parts) == 1229
