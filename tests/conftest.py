"""What every test shares."""

import asyncio

from hypothesis import settings

settings.register_profile("fast", max_examples=100, stateful_step_count=25)
settings.register_profile("long", max_examples=10_000, stateful_step_count=100)
settings.load_profile("fast")


def pytest_configure() -> None:
    """Start without a default event loop: one that is made for a sync test is never closed."""
    asyncio.set_event_loop(None)
