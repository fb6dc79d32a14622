"""The bridge as a whole, in one process: real packets, a real broker, a person outside."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

import bridge.app
from bridge.broker import Program, _mosquitto
from bridge.clock import PacedClock
from bridge.control import ControlLoop
from bridge.core.control_codec import encode_stop
from bridge.core.errors import BridgeError
from bridge.core.messages import State
from bridge.store import Store
from tests.home import REST_KMH, SOON_S, Home, Person, running

needs_mosquitto = [
    pytest.mark.broker,
    pytest.mark.skipif(_mosquitto() is None, reason="mosquitto is not installed"),
]
both = pytest.mark.parametrize(
    "program", ["amqtt", pytest.param("mosquitto", marks=needs_mosquitto)]
)


async def walking(person: Person, treadmill: str = "garage") -> None:
    """Arm, and wait until the belt is taken over and the first rise has left."""
    await person.ask(treadmill, "arm", program="brief", walker="me")
    await person.event(treadmill, "target_changed")


def stops(home: Home, treadmill: str) -> int:
    """How many times the bridge wrote Stop."""
    journal = home.consoles[treadmill].journal
    return sum(incident.payload == encode_stop() for incident in journal)


@both
async def test_a_whole_session(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Armed over MQTT, started at the console, to the end: gapless, recorded, belt at rest."""
    async with running(tmp_path, monkeypatch, "garage", program=program) as (home, bridge, person):
        armed = await person.ask("garage", "arm", program="brief", walker="me")
        ended = await person.event("garage", "session_ended")
        assert ended["data"]["reason"] == "finished"
        assert (await person.answer("garage", armed))["outcome"] == "confirmed"
        summary = await person.until("garage/session", lambda said: said.get("reason"))
        assert summary["reason"] == "finished"
        events = person.on("garage/event")
        assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
        types = person.types("garage")
        assert [
            each for each in types if each in {"armed", "session_started", "session_ended"}
        ] == [
            "armed",
            "session_started",
            "session_ended",
        ]
        assert types.count("segment_started") == 5
        assert types.count("turn_confirmed") == 2
        assert home.speed_kmh("garage") < REST_KMH
        stored = await bridge.store.events("garage")
        assert [each.id for each in stored][: len(events)] == [each["id"] for each in events]
        [session] = await bridge.store.sessions()
        samples = await bridge.store.samples(session.id)
        assert len(samples) > 30
        assert {"forward", "backward", "turn"} <= {each.direction for each in samples}


async def test_stop_over_mqtt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S7: confirmed once the belt really stands; the session has ended because of it."""
    async with running(tmp_path, monkeypatch, "garage") as (home, _, person):
        await walking(person)
        stop = await person.ask("garage", "stop")
        assert (await person.answer("garage", stop))["outcome"] == "confirmed"
        assert home.speed_kmh("garage") < REST_KMH
        ended = await person.event("garage", "session_ended")
        assert ended["data"]["reason"] == "stop_mqtt"


async def test_a_link_that_drops_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S11: lost, looked at, restored; the program holds and nothing rises; stop works after it."""
    async with running(tmp_path, monkeypatch, "garage") as (home, _, person):
        await walking(person)
        person.answers = False
        home.drop_link("garage")
        await person.event("garage", "link_lost")
        await person.until("garage/availability", lambda said: said == "offline")
        lost_kmh = home.consoles["garage"].belt.target_speed_kmh
        await person.event("garage", "link_restored")
        await home.clock.sleep(20.0)
        assert home.speed_kmh("garage") <= lost_kmh + REST_KMH
        stop = await person.ask("garage", "stop")
        assert (await person.answer("garage", stop))["outcome"] == "confirmed"
        assert home.speed_kmh("garage") < REST_KMH
        assert person.on("garage/availability")[-1] == "online"


async def test_two_treadmills_walk_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One stops, the other walks on to its end; each has its own gapless record."""
    async with running(tmp_path, monkeypatch, "garage", "attic") as (home, _, person):
        await asyncio.gather(walking(person, "garage"), walking(person, "attic"))
        stop = await person.ask("attic", "stop")
        await person.answer("attic", stop)
        assert home.speed_kmh("attic") < REST_KMH
        assert home.speed_kmh("garage") > REST_KMH
        ended = await person.event("garage", "session_ended")
        assert ended["data"]["reason"] == "finished"
        for treadmill in ("garage", "attic"):
            numbers = person.numbers(treadmill)
            assert numbers == list(range(1, len(numbers) + 1))


async def test_the_end_of_the_block_ends_the_belt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S18, however the block is left; the record says so before the process may go."""
    homes: list[Home] = []

    async def life() -> None:
        async with running(tmp_path, monkeypatch, "garage", "attic") as (home, _, person):
            homes.append(home)
            await asyncio.gather(walking(person, "garage"), walking(person, "attic"))
            raise ZeroDivisionError("a bug")

    with pytest.raises(ExceptionGroup) as raised:
        await life()
    assert raised.group_contains(ZeroDivisionError, match="a bug")
    [home] = homes
    async with Store.open(tmp_path / "data" / "retrowalk.db") as store:
        for treadmill in ("garage", "attic"):
            assert home.speed_kmh(treadmill) < REST_KMH
            [ended] = [
                each for each in await store.events(treadmill) if each.type == "session_ended"
            ]
            assert ended.data["reason"] == "stop_bridge"


async def test_a_pilot_that_fails_stops_every_belt_and_the_bridge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own belt by a last Stop, the others by their pilots; and nobody goes on unaware."""
    homes: list[Home] = []

    def fail(_: float) -> State:
        raise ZeroDivisionError("a bug")

    async def life() -> None:
        async with running(tmp_path, monkeypatch, "garage", "attic") as (home, bridge, person):
            homes.append(home)
            await asyncio.gather(walking(person, "garage"), walking(person, "attic"))
            monkeypatch.setattr(bridge.loops["garage"].pilot, "state", fail)
            await asyncio.get_running_loop().create_future()

    with pytest.raises(BaseExceptionGroup) as raised:
        await life()
    assert raised.group_contains(ZeroDivisionError, match="a bug")
    [home] = homes
    assert stops(home, "garage") == 1
    assert home.consoles["garage"].belt.target_speed_kmh < REST_KMH
    assert home.speed_kmh("attic") < REST_KMH
    async with Store.open(tmp_path / "data" / "retrowalk.db") as store:
        types = [each.type for each in await store.events("attic")]
        assert "session_ended" in types


async def test_a_belt_that_is_not_known_to_stand_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ending without it would look like success (exit 0)."""

    async def never(_: object) -> bool:
        return False

    monkeypatch.setattr(ControlLoop, "come_to_rest", never)
    with pytest.raises(ExceptionGroup) as raised:
        async with running(tmp_path, monkeypatch, "garage"):
            pass
    assert raised.group_contains(BridgeError, match="safety key")


async def test_an_edge_with_a_bug_takes_no_belt_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """MQTT fails on something unforeseen in mid-session: logged, started again, walked on."""
    monkeypatch.setattr(bridge.app, "EDGE_RESTART_S", 0.01)
    async with running(tmp_path, monkeypatch, "garage") as (home, opened, person):
        await walking(person)
        send = opened.mqtt._send_event
        failed = asyncio.Event()

        async def fail_once(*arguments: Any) -> None:
            if not failed.is_set():
                failed.set()
                raise ZeroDivisionError("a bug")
            await send(*arguments)

        monkeypatch.setattr(opened.mqtt, "_send_event", fail_once)
        ended = await person.event("garage", "session_ended")
        assert failed.is_set()
        assert ended["data"]["reason"] == "finished"
        assert home.speed_kmh("garage") < REST_KMH
        numbers = person.numbers("garage")
        assert numbers == list(range(1, len(numbers) + 1))
    assert "mqtt failed; starting it again" in caplog.messages


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20, 50, 200])
async def test_an_error_at_any_moment_of_the_start_ends_the_bridge(
    turns: int, tmp_path: Path
) -> None:
    """Libraries that swallow a cancellation (see `bridge.radio`) once left a link task for ever."""
    clock = PacedClock(50)
    home = Home(tmp_path, clock, "garage")

    async def life() -> None:
        async with asyncio.timeout(SOON_S), clock.running(), home.powered(), home.bridge():
            for _ in range(turns):
                await asyncio.sleep(0)
            raise ZeroDivisionError("a bug")

    with pytest.raises(ExceptionGroup) as raised:
        await life()
    assert raised.group_contains(ZeroDivisionError, match="a bug")
