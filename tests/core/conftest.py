"""Walks for the tests of the pilot's procedures, every one of them judged from outside."""

from collections.abc import Callable, Iterator

import pytest

from tests.judged import JudgedWalk
from tests.virtual import settings

Walking = Callable[..., JudgedWalk]


@pytest.fixture
def connected() -> Iterator[Walking]:
    """Make a walk that is connected and not armed. No rule may have been broken in the end.

    Keywords of `tests.virtual.Walk`; the settings come as ``configured``. The judge reads the bytes
    as the specification has them, so a machine with a device profile is not judged.
    """
    walks: list[JudgedWalk] = []

    def make(
        level: str = "L0", *, configured: dict[str, object] | None = None, **values: object
    ) -> JudgedWalk:
        walk = JudgedWalk(settings=settings(level, **(configured or {})), **values)  # type: ignore[arg-type]
        walks.append(walk)
        return walk

    yield make
    judged = [walk for walk in walks if not walk.device]
    assert [str(found) for walk in judged for found in walk.judge.violations] == []


@pytest.fixture
def walking(connected: Walking) -> Walking:
    """Make a walk in which the belt has been started and adopted."""

    def make(
        level: str = "L0", program: str | None = "first-minute", **values: object
    ) -> JudgedWalk:
        configured = values.get("configured")
        made = isinstance(configured, dict) and "programs" in configured
        walk = connected(level, **values)
        walk.arm(None if made else program)
        return walk

    return make
