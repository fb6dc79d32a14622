"""The durable record: events, sessions and samples in one SQLite file.

Every event is on disk before `Store.append` returns, numbered without gaps for each treadmill
across restarts; consumers follow the log from their own saved cursors. Every write is a single
SQL statement and so a single transaction, which neither a cancelled task nor ``kill -9`` can cut
in two. What this module refuses to know: MQTT, pages, what an event means beyond the start and
end of a session.
"""

import asyncio
import json
import sqlite3
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import aiosqlite

from bridge.clock import rfc3339, utc_now
from bridge.core.errors import StoreError
from bridge.core.messages import EventType, SessionEvent

FLUSH_S = 2.0
"""Samples wait this long at most for company: one disk write instead of eight at 4 Hz."""

_BUSY_S = 5.0
"""How long to wait for another process (``retrowalk sessions``) that holds the file."""

_PAGE = 200
"""Events read at a time while following: bounds memory when a consumer is far behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One event as it is on disk (contract section 5). ``at`` is RFC 3339."""

    seq: int
    treadmill: str
    session: str | None
    type: EventType
    at: str
    uptime_s: float
    data: dict[str, object] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """``garage-000123``: stable, so that a consumer can drop repeats."""
        return f"{self.treadmill}-{self.seq:06d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one moment of a session looked like; ``t_s`` counts from the session's start.

    The fields are named as in the published state: ``target_speed_kmh`` is the cleared speed and
    ``speed_kmh`` the measured one.
    """

    session: str
    t_s: float
    direction: str | None = None
    segment: int | None = None
    requested_speed_kmh: float | None = None
    target_speed_kmh: float | None = None
    acknowledged_speed_kmh: float | None = None
    speed_kmh: float | None = None
    target_incline_pct: float | None = None
    incline_pct: float | None = None
    distance_m: float | None = None
    backward_distance_m: float | None = None
    energy_kcal: float | None = None
    heart_rate_bpm: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """One session. ``ended_at`` is ``None`` while it runs, and after a crash until recovery."""

    id: str
    treadmill: str
    program: str | None
    walker: str | None
    started_at: str
    ended_at: str | None
    summary: dict[str, object]


_EVENT = "treadmill, seq, session, type, at, uptime_s, data"
_SESSION = "id, treadmill, program, walker, started_at, ended_at, summary"
_MEASURED = tuple(f.name for f in fields(Sample) if f.name != "session")

# The number is taken and used by the same statement, so no two writers can share one.
_APPEND = f"""
INSERT INTO event ({_EVENT})
SELECT ?1, 1 + coalesce(max(seq), 0), ?2, ?3, ?4, ?5, ?6 FROM event WHERE treadmill = ?1
RETURNING seq
"""  # noqa: S608 - our own column names
# A left join on purpose: a sample of an unknown session violates NOT NULL instead of vanishing.
_ADD_SAMPLES = f"""
INSERT OR REPLACE INTO sample (session, {", ".join(_MEASURED)})
SELECT session.no, {", ".join(f"new.value ->> '{name}'" for name in _MEASURED)}
FROM json_each(?) AS new LEFT JOIN session ON session.id = new.value ->> 'session'
"""  # noqa: S608 - our own column names
_SET_CURSOR = """
INSERT INTO cursor (consumer, treadmill, seq) VALUES (?, ?, ?)
ON CONFLICT (consumer, treadmill) DO UPDATE SET seq = max(seq, excluded.seq)
"""


class Store:
    """The one writer of the record. Made by `Store.open`, closed by leaving its block."""

    def __init__(
        self, connection: aiosqlite.Connection, started_s: float, now: Callable[[], datetime]
    ) -> None:
        self._connection = connection
        self._started_s = started_s
        self._now = now
        self._followers: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._samples: list[Sample] = []
        self._flush_due_s = 0.0

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Path | str,
        *,
        started_s: float = 0.0,
        now: Callable[[], datetime] = utc_now,
    ) -> AsyncIterator[Self]:
        """The record at ``path``, created or brought up to date first.

        ``started_s`` is the core clock's reading when the bridge started; ``uptime_s`` of events
        counts from it. ``now`` is the wall clock that stamps them. Raises `StoreError` when the
        file cannot be used or was written by a newer version.
        """
        # The stack matters: a connection left open keeps its thread, and the process, alive.
        async with AsyncExitStack() as stack:
            with _disk_errors(path):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                connection = await stack.enter_async_context(
                    aiosqlite.connect(path, isolation_level=None, timeout=_BUSY_S)
                )
                # FULL: with NORMAL a committed event can vanish on power loss.
                for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                    await connection.execute_fetchall(f"PRAGMA {pragma}")
                await _migrate(connection, path)
            store = cls(connection, started_s, now)
            try:
                yield store
            finally:
                await store.flush()

    # --- events ----------------------------------------------------------------------------------

    async def append(self, treadmill: str, event: SessionEvent) -> StoredEvent:
        """Number, stamp and store ``event``; it is on disk when this returns."""
        at = rfc3339(self._now())
        uptime_s = round(event.at_s - self._started_s, 3)
        data = _json(event.data)
        try:
            rows = await self._run(
                _APPEND, (treadmill, event.session, event.type.value, at, uptime_s, data)
            )
        finally:
            # Even when cancelled: the statement may have been carried out all the same.
            for news in self._followers[treadmill]:
                news.set()
        return StoredEvent(
            treadmill=treadmill,
            seq=rows[0][0],
            session=event.session,
            type=event.type,
            at=at,
            uptime_s=uptime_s,
            data=json.loads(data),
        )

    async def events(
        self, treadmill: str, after: int = 0, limit: int = _PAGE
    ) -> Sequence[StoredEvent]:
        """Up to ``limit`` events of ``treadmill`` whose ``seq`` is above ``after``, in order."""
        rows = await self._run(
            f"SELECT {_EVENT} FROM event WHERE treadmill = ? AND seq > ? ORDER BY seq LIMIT ?",  # noqa: S608 - our own column names
            (treadmill, after, limit),
        )
        return [_event(row) for row in rows]

    async def follow(self, treadmill: str, after: int = 0) -> AsyncGenerator[StoredEvent, None]:
        """Every event of ``treadmill`` above ``after``, in order, then each new one as it comes.

        Never ends by itself; close it with ``contextlib.aclosing``.
        """
        news = asyncio.Event()
        self._followers[treadmill].add(news)
        try:
            while True:
                news.clear()  # before reading: an event stored meanwhile is not missed
                page = await self.events(treadmill, after)
                for event in page:
                    after = event.seq
                    yield event
                if not page:
                    await news.wait()  # for as long as nothing happens
        finally:
            self._followers[treadmill].discard(news)

    async def cursor(self, consumer: str, treadmill: str) -> int:
        """The last ``seq`` that ``consumer`` has dealt with; 0 when it never has."""
        rows = await self._run(
            "SELECT seq FROM cursor WHERE consumer = ? AND treadmill = ?", (consumer, treadmill)
        )
        return int(rows[0][0]) if rows else 0

    async def set_cursor(self, consumer: str, treadmill: str, seq: int) -> None:
        """Note that ``consumer`` has dealt with everything up to ``seq``; never goes back."""
        await self._run(_SET_CURSOR, (consumer, treadmill, seq))

    # --- sessions --------------------------------------------------------------------------------

    async def add_sample(self, sample: Sample) -> None:
        """Keep ``sample``; it and its like reach the disk together, every `FLUSH_S` at most.

        A session must have started (its event stored) before its samples.
        """
        now_s = asyncio.get_running_loop().time()
        if not self._samples:
            self._flush_due_s = now_s + FLUSH_S
        self._samples.append(sample)
        if now_s >= self._flush_due_s:
            await self.flush()

    async def flush(self) -> None:
        """Put waiting samples on disk. When that fails they are lost: they are only samples."""
        if self._samples:
            batch, self._samples = self._samples, []
            await self._run(_ADD_SAMPLES, (_json([asdict(sample) for sample in batch]),))

    async def samples(self, session: str) -> Sequence[Sample]:
        """What was measured during ``session``, in order, without what still waits for a flush."""
        columns = ", ".join(_MEASURED)
        rows = await self._run(
            f"SELECT {columns} FROM sample"  # noqa: S608 - our own column names
            " WHERE session = (SELECT no FROM session WHERE id = ?) ORDER BY t_s",
            (session,),
        )
        return [Sample(session=session, **dict(zip(_MEASURED, row, strict=True))) for row in rows]

    async def session(self, session: str) -> StoredSession | None:
        """One session, or ``None`` when there is none of that id."""
        return next(iter(await self._sessions("WHERE id = ?", (session,))), None)

    async def sessions(self, treadmill: str | None = None) -> Sequence[StoredSession]:
        """All sessions, of one treadmill or of all, newest first."""
        if treadmill is None:
            return await self._sessions("", ())
        return await self._sessions("WHERE treadmill = ?", (treadmill,))

    async def unfinished_session(self, treadmill: str) -> StoredSession | None:
        """The newest session of ``treadmill``, if it has no end: running, or cut by a crash."""
        newest = await self._sessions("WHERE treadmill = ?", (treadmill,), limit=1)
        return next((session for session in newest if session.ended_at is None), None)

    async def session_summary(self, session: str) -> dict[str, object]:
        """The summary of ``session`` so far; empty when there is none yet."""
        stored = await self.session(session)
        return {} if stored is None else stored.summary

    async def set_session_summary(self, session: str, summary: Mapping[str, object]) -> None:
        """Replace the summary of a running session; its end stores the final one by itself."""
        await self._run(
            "UPDATE session SET summary = ? WHERE id = ? AND ended_at IS NULL",
            (_json(summary), session),
        )

    async def _sessions(
        self, where: str, parameters: tuple[str, ...], limit: int = -1
    ) -> Sequence[StoredSession]:
        rows = await self._run(
            f"SELECT {_SESSION} FROM session {where} ORDER BY no DESC LIMIT {limit}",  # noqa: S608 - constants
            parameters,
        )
        return [StoredSession(**_named(_SESSION, row, "summary")) for row in rows]

    async def _run(self, sql: str, parameters: tuple[object, ...]) -> list[sqlite3.Row]:
        with _disk_errors():
            return list(await self._connection.execute_fetchall(sql, parameters))


def _named(columns: str, row: sqlite3.Row, json_column: str) -> dict[str, Any]:
    values = dict(zip(columns.split(", "), row, strict=True))
    return values | {json_column: json.loads(values[json_column])}


def _event(row: sqlite3.Row) -> StoredEvent:
    values = _named(_EVENT, row, "data")
    return StoredEvent(**values | {"type": EventType(values["type"])})


def _json(value: object) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


@contextmanager
def _disk_errors(path: Path | str | None = None) -> Iterator[None]:
    # aiosqlite raises ValueError on a connection that is closed already.
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        where = f"{path}: " if path else ""
        raise StoreError(f"{where}the record cannot be read or written: {error}") from error


async def _migrate(connection: aiosqlite.Connection, path: Path | str) -> None:
    """Apply what is missing, all or nothing; ``user_version`` counts the files applied."""
    folder = files("bridge").joinpath("migrations")
    migrations = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda f: f.name
    )
    await connection.execute_fetchall("BEGIN IMMEDIATE")
    try:
        ((version,),) = await connection.execute_fetchall("PRAGMA user_version")
        _refuse_newer(path, version, len(migrations))
        for migration in migrations[version:]:
            for statement in _statements(migration.read_text(encoding="utf-8")):
                await connection.execute_fetchall(statement)
        await connection.execute_fetchall(f"PRAGMA user_version = {len(migrations)}")
        await connection.execute_fetchall("COMMIT")
    except BaseException:
        await connection.rollback()
        raise


def _refuse_newer(path: Path | str, version: int, known: int) -> None:
    if version > known:
        raise StoreError(
            f"{path} was written by a newer retrowalk (schema {version}; this one knows {known}): "
            "update retrowalk, or point store.path at another file"
        )


def _statements(script: str) -> Iterator[str]:
    """The statements of ``script`` one by one; `executescript` would commit half-way."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
