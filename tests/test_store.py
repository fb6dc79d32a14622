"""The record: gapless numbers, durability, waking of followers, sessions, samples, disk faults."""

import asyncio
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge import store as store_module
from bridge.core.errors import StoreError
from bridge.core.messages import EventType, SessionEvent
from bridge.store import Sample, Store, StoredEvent

NOON = datetime(2026, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)
WAKE_S = 2.0  # for a follower in this process; far more than it takes


def event(
    number: int = 0, kind: EventType = EventType.ARMED, session: str | None = None, **data: object
) -> SessionEvent:
    """An event at ``number`` seconds of the core clock."""
    return SessionEvent(type=kind, session=session, at_s=float(number), data=data)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A record that does not exist yet, nor its folder."""
    return tmp_path / "new folder" / "record.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    """A new record whose wall clock stands still."""
    async with Store.open(path, started_s=100.0, now=lambda: NOON) as opened:
        yield opened


async def numbers(store: Store, treadmill: str) -> list[int]:
    """Every number that ``treadmill`` has given."""
    return [stored.seq for stored in await store.events(treadmill, limit=100_000)]


async def take(store: Store, treadmill: str, count: int, after: int = 0) -> list[StoredEvent]:
    """The first ``count`` events that a follower gets."""
    taken: list[StoredEvent] = []
    async with asyncio.timeout(WAKE_S), aclosing(store.follow(treadmill, after)) as following:
        async for stored in following:
            taken.append(stored)
            if len(taken) == count:
                break
    return taken


# --- events --------------------------------------------------------------------------------------


async def test_an_event_is_stamped_and_named(store: Store) -> None:
    """Contract section 5: id, seq, wall clock in milliseconds with Z, uptime since the start."""
    stored = await store.append("garage", event(612, session="01J", kmh=1.4, why=None))
    assert stored.id == "garage-000001"
    assert stored.at == "2026-11-22T12:00:00.123Z"
    assert stored.uptime_s == 512.0
    assert stored.data == {"kmh": 1.4, "why": None}
    assert await store.events("garage") == [stored]


async def test_numbers_have_no_gaps_over_restarts_and_treadmills(path: Path) -> None:
    """Each treadmill counts for itself and goes on counting after the file was closed."""
    for _ in range(3):
        async with Store.open(path) as store:
            for treadmill in ("garage", "attic", "garage"):
                await store.append(treadmill, event())
    async with Store.open(path) as store:
        assert await numbers(store, "garage") == [1, 2, 3, 4, 5, 6]
        assert await numbers(store, "attic") == [1, 2, 3]


async def test_concurrent_appends_share_no_number(store: Store) -> None:
    """Fifty tasks at once get fifty different numbers without a gap."""
    stored = await asyncio.gather(*(store.append("garage", event(n)) for n in range(50)))
    assert sorted(each.seq for each in stored) == list(range(1, 51))
    assert await numbers(store, "garage") == list(range(1, 51))


async def test_two_processes_share_no_number(path: Path) -> None:
    """Even a second writer on the same file cannot take a number twice."""
    async with Store.open(path) as one, Store.open(path) as other:
        await asyncio.gather(*(each.append("garage", event()) for each in (one, other) * 10))
        assert await numbers(one, "garage") == list(range(1, 21))


_APPENDER = """
import asyncio, sys
from bridge.core.messages import EventType, SessionEvent
from bridge.store import Store

async def main():
    async with Store.open(sys.argv[1]) as store:
        while True:
            event = SessionEvent(type=EventType.ARMED, session=None, at_s=0.0)
            print((await store.append("garage", event)).seq, flush=True)

asyncio.run(main())
"""


async def test_kill_9_loses_no_acknowledged_event(path: Path) -> None:
    """After SIGKILL amid appends every event that append() returned is there, without a gap."""
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _APPENDER, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout is not None
    acknowledged = [int(await writer.stdout.readline()) for _ in range(200)]
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in (await writer.stdout.read()).split()]
    assert await writer.wait() == -signal.SIGKILL
    async with Store.open(path) as store:
        stored = await numbers(store, "garage")
        assert stored == list(range(1, len(stored) + 1))
        assert acknowledged == stored[: len(acknowledged)]
        assert (await store.append("garage", event())).seq == len(stored) + 1


async def test_it_is_written_through_to_the_disk(store: Store) -> None:
    """WAL with synchronous=FULL (2): with NORMAL a power cut can undo a commit."""
    assert [tuple(row) for row in await store._run("PRAGMA journal_mode", ())] == [("wal",)]
    assert [tuple(row) for row in await store._run("PRAGMA synchronous", ())] == [(2,)]


# --- following -----------------------------------------------------------------------------------


async def test_a_follower_gets_the_past_and_then_wakes(store: Store) -> None:
    """Stored events come first, in order; then one that is appended while it waits."""
    await store.append("garage", event(1))
    await store.append("attic", event(2))
    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(take(store, "garage", 2))
        await asyncio.sleep(0.05)
        assert not taking.done()
        await store.append("attic", event(3))
        await store.append("garage", event(4))
    assert [stored.uptime_s for stored in taking.result()] == [-99.0, -96.0]


async def test_a_follower_far_behind_misses_nothing(store: Store) -> None:
    """More than a page of history, while more is appended: every number once, in order."""
    await asyncio.gather(*(store.append("garage", event(n)) for n in range(250)))
    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(take(store, "garage", 290, after=10))
        for n in range(50):
            await store.append("garage", event(n))
    assert [stored.seq for stored in taking.result()] == list(range(11, 301))


async def test_a_cancelled_append_still_wakes(store: Store) -> None:
    """The statement runs on although nobody waits for it; followers learn of it all the same."""
    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(take(store, "garage", 1))
        await asyncio.sleep(0.05)
        appending = tasks.create_task(store.append("garage", event()))
        await asyncio.sleep(0)
        appending.cancel()
    assert [stored.seq for stored in taking.result()] == [1]


async def test_a_closed_follower_is_forgotten(store: Store) -> None:
    """A page that goes away leaves nothing behind."""
    await store.append("garage", event())
    await take(store, "garage", 1)
    assert not store._followers["garage"]


async def test_cursors_only_go_forward_and_survive(path: Path) -> None:
    """One cursor for each consumer and treadmill; a late, lower value changes nothing."""
    async with Store.open(path) as store:
        assert await store.cursor("mqtt", "garage") == 0
        for seq in (1, 7, 3):
            await store.set_cursor("mqtt", "garage", seq)
        await store.set_cursor("mqtt", "attic", 2)
    async with Store.open(path) as store:
        assert await store.cursor("mqtt", "garage") == 7
        assert await store.cursor("mqtt", "attic") == 2
        assert await store.cursor("page", "garage") == 0


# --- sessions and samples ------------------------------------------------------------------------


async def start(store: Store, session: str, treadmill: str = "garage") -> None:
    """Begin a session, by its event."""
    started = event(0, EventType.SESSION_STARTED, session, program="first-minute", walker="me")
    await store.append(treadmill, started)


async def test_a_session_follows_from_the_log(store: Store) -> None:
    """It begins and ends with its events; the end's data is the summary (contract section 5)."""
    await start(store, "01A")
    running = await store.session("01A")
    assert running is not None
    assert (running.program, running.walker, running.treadmill) == ("first-minute", "me", "garage")
    assert running.ended_at is None
    assert await store.unfinished_session("garage") == running
    assert await store.unfinished_session("attic") is None

    await store.set_session_summary("01A", {"distance_m": 10})
    assert await store.session_summary("01A") == {"distance_m": 10}

    await store.append("garage", event(9, EventType.SESSION_ENDED, "01A", distance_m=60))
    await store.set_session_summary("01A", {"distance_m": 11})
    ended = await store.session("01A")
    assert ended is not None
    assert ended.ended_at == "2026-11-22T12:00:00.123Z"
    assert ended.summary == {"distance_m": 60}
    assert await store.unfinished_session("garage") is None


async def test_a_session_that_starts_twice_is_one(store: Store) -> None:
    """A repeated start (after a recovery, say) must not fail the append."""
    await start(store, "01A")
    await start(store, "01A")
    assert len(await store.sessions()) == 1


async def test_sessions_are_listed_newest_first(store: Store) -> None:
    """Of all treadmills or of one; an unknown id is nothing."""
    for session, treadmill in (("01A", "garage"), ("01B", "attic"), ("01C", "garage")):
        await start(store, session, treadmill)
    assert [session.id for session in await store.sessions()] == ["01C", "01B", "01A"]
    assert [session.id for session in await store.sessions("garage")] == ["01C", "01A"]
    assert await store.session("01X") is None
    assert await store.session_summary("01X") == {}


async def test_samples_come_back_as_they_were(store: Store) -> None:
    """Every field, numbers exactly, in order of time; unknown stays None."""
    await start(store, "01A")
    full = Sample(
        session="01A",
        t_s=1.25,
        direction="backward",
        segment=2,
        requested_speed_kmh=1.5,
        target_speed_kmh=1.4,
        acknowledged_speed_kmh=1.3,
        speed_kmh=1.2,
        target_incline_pct=2.0,
        incline_pct=1.0,
        distance_m=12.0,
        backward_distance_m=6.0,
        energy_kcal=0.7,
        heart_rate_bpm=99,
    )
    empty = Sample(session="01A", t_s=0.25)
    await store.add_sample(full)
    await store.add_sample(empty)
    await store.flush()
    assert await store.samples("01A") == [empty, full]
    assert await store.samples("01X") == []


async def test_samples_wait_for_company(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written before the batch is due; the sample that comes then takes all along."""
    await start(store, "01A")
    await store.add_sample(Sample(session="01A", t_s=0.0))
    await store.add_sample(Sample(session="01A", t_s=0.25))
    assert await store.samples("01A") == []
    monkeypatch.setattr(store, "_flush_due_s", 0.0)
    await store.add_sample(Sample(session="01A", t_s=0.5))
    assert [sample.t_s for sample in await store.samples("01A")] == [0.0, 0.25, 0.5]
    assert store_module.FLUSH_S <= 2.0


async def test_closing_flushes(path: Path) -> None:
    """Samples that wait at the end of the block are on disk after it, even when it failed."""

    async def failing_app() -> None:
        async with Store.open(path) as store:
            await start(store, "01A")
            await store.add_sample(Sample(session="01A", t_s=0.0))
            raise RuntimeError("the app")

    with pytest.raises(RuntimeError, match="the app"):
        await failing_app()
    async with Store.open(path) as store:
        assert len(await store.samples("01A")) == 1


# --- faults --------------------------------------------------------------------------------------


async def test_a_sample_of_no_session_is_an_error(store: Store) -> None:
    """It would otherwise vanish without a word."""
    await store.add_sample(Sample(session="01X", t_s=0.0))
    with pytest.raises(StoreError):
        await store.flush()


async def test_a_newer_file_is_refused_and_left_alone(path: Path) -> None:
    """A downgrade must not write into a schema that it does not know."""
    async with Store.open(path):
        pass
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(StoreError, match=r"newer retrowalk \(schema 99"):
        async with Store.open(path):
            pass
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (99,)
    raw.close()


async def test_a_failed_migration_changes_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pending migrations are one transaction: the second one's error undoes the first."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_good.sql").write_text("CREATE TABLE one (a);\n")
    (folder / "0002_bad.sql").write_text("CREATE TABLE two (a);\nCREATE TABLE one (again);\n")
    monkeypatch.setattr(store_module, "files", lambda _: tmp_path)
    with pytest.raises(StoreError, match="already exists"):
        async with Store.open(path):
            pass
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT name FROM sqlite_master").fetchall() == []
        assert raw.execute("PRAGMA user_version").fetchone() == (0,)
    raw.close()


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    """A file that is no database."""
    (tmp_path / "diary.txt").write_text("not a database, but somebody's diary " * 50)
    return tmp_path / "diary.txt"


def test_a_file_that_is_no_record_is_refused(diary: Path) -> None:
    """The message names the file; the file keeps its content."""

    async def use() -> None:
        async with Store.open(diary):
            pass

    with pytest.raises(StoreError, match=r"diary\.txt"):
        asyncio.run(use())
    assert diary.read_text().startswith("not a database")


async def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    """OSError does not leave the store's door."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError):
        async with Store.open(tmp_path / "file" / "record.db"):
            pass


async def test_a_full_disk_is_a_store_error_and_leaves_no_gap(store: Store) -> None:
    """An append that fails takes no number; once there is room the count goes on."""
    await store.append("garage", event())
    await store._run("PRAGMA max_page_count = 1", ())  # SQLite raises it to what is used already
    with pytest.raises(StoreError, match="full"):
        await store.append("garage", event(why="x" * 100_000))
    await store._run("PRAGMA max_page_count = 100000", ())
    assert (await store.append("garage", event())).seq == 2


async def test_use_after_closing_is_a_store_error(path: Path) -> None:
    """A follower that outlives the store ends with our error, not with a library's."""
    async with Store.open(path) as store:
        pass
    with pytest.raises(StoreError):
        await store.events("garage")


async def test_closing_leaves_no_thread(path: Path) -> None:
    """The connection's thread is not a daemon: left alone it would keep the process alive."""
    before = set(threading.enumerate())
    async with Store.open(path):
        (own,) = set(threading.enumerate()) - before
        assert not own.daemon
    own.join(timeout=5)  # on a busy machine it may need a moment more
    assert not own.is_alive()
