"""Signals: the first ends in order, the second drops everything, the third leaves."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from bridge.ending import INTERRUPTED, Ending, _until_signal


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 7), (signal.SIGINT, INTERRUPTED)])
async def test_a_signal_cancels_the_work(number: signal.Signals, code: int) -> None:
    """Clean-up of the work runs to its end first."""
    cleaned = asyncio.Event()

    async def work(_: Ending) -> int:
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0.01)
            cleaned.set()
        return 0

    assert await _until_signal(work, 7) == code
    assert cleaned.is_set()


async def test_work_may_wait_for_the_signal_instead() -> None:
    """Then nothing is cancelled: an orderly end is the work's own."""

    async def work(ending: Ending) -> int:
        asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGTERM)
        await ending.awaited()
        await asyncio.sleep(0.01)
        return ending.code + 1

    assert await _until_signal(work, 7) == 8


async def test_a_cancellation_that_no_signal_asked_for_is_not_hidden() -> None:
    """Whoever cancels this task wants it cancelled."""

    async def work(_: Ending) -> int:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await _until_signal(work, 7)


async def test_the_signals_are_given_back() -> None:
    """After it Ctrl-C is Python's again."""

    async def work(_: Ending) -> int:
        return 3

    assert await _until_signal(work, 7) == 3
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


_STUBBORN = """
import asyncio, os, signal
from bridge.ending import run_until_signal

async def work(_):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(10)
    finally:
        print("cleaning", flush=True)
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(10)
        finally:
            print("dropped", flush=True)
            STUBBORN

raise SystemExit(run_until_signal(work))
"""
_HANGS = "os.kill(os.getpid(), signal.SIGINT)\n            await asyncio.sleep(10)"


@pytest.mark.parametrize("last", ["pass", _HANGS])
def test_the_impatient_are_obeyed(last: str) -> None:
    """The second signal cancels the clean-up too; the third asks nobody."""
    done = subprocess.run(
        [sys.executable, "-c", _STUBBORN.replace("STUBBORN", last)],
        capture_output=True,
        text=True,
        timeout=5,
        check=False,
    )
    assert done.returncode == INTERRUPTED
    assert done.stdout.split() == ["cleaning", "dropped"]
    assert done.stderr == ""
