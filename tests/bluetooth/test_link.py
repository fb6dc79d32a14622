"""The connection to one treadmill: what it puts on the inbox, and how it comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from bleak import BleakClient
from bleak.exc import BleakError, BleakGATTProtocolError
from bumble.att import ATT_Error

from bridge.bluetooth.backend import open_backend
from bridge.bluetooth.connection import (
    BACKOFF_CEILING_S,
    CONNECT_TIMEOUT_S,
    STEADY_S,
    backoff_s,
)
from bridge.bluetooth.inbox import Inbox
from bridge.bluetooth.link import WRITE_TIMEOUT_S, TreadmillLink, _Gate
from bridge.clock import LoopClock
from bridge.core.errors import LinkError
from bridge.core.messages import (
    ControlPointWrite,
    Identity,
    InclineRange,
    Input,
    LinkDown,
    LinkUp,
    Machine,
    Notification,
    SpeedRange,
    WriteOutcome,
)
from bridge.radio import VirtualRadio
from tests.bluetooth.peripheral import ADDRESS, Air, Peripheral, on_air, serve_radio

pytestmark = pytest.mark.looptime

RECORD = bytes.fromhex("00008c00")
SUCCESS = b"\x80\x00\x01"
PATIENCE_S = 120.0


@dataclass
class Scene:
    """A link that runs, and its inbox."""

    air: Air
    link: TreadmillLink
    inbox: Inbox

    async def next(self) -> Input:
        """The next input."""
        async with asyncio.timeout(PATIENCE_S):
            return (await self.inbox.get())[1]

    async def up(self) -> Machine:
        """Wait for the link."""
        item = await self.next()
        assert isinstance(item, LinkUp)
        return item.machine

    def write(self, write_id: int, payload: bytes = b"\x00") -> None:
        """Write to the control point."""
        self.link.write(ControlPointWrite(write_id=write_id, payload=payload, why="test"))


@asynccontextmanager
async def linked(
    target: str = ADDRESS, without: frozenset[int] = frozenset()
) -> AsyncIterator[Scene]:
    """A link to the machine on the air."""
    async with on_air(without) as air:
        inbox = Inbox()
        async with _running(TreadmillLink(air.backend, target, inbox, LoopClock())) as link:
            yield Scene(air, link, inbox)


@asynccontextmanager
async def _running(link: TreadmillLink) -> AsyncIterator[TreadmillLink]:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run())
        yield link
        running.cancel()


async def test_link_up_says_what_the_machine_says_of_itself() -> None:
    """Identity, features and ranges are read before the link is announced."""
    async with linked("Tread-01") as scene:
        machine = await scene.up()
        assert scene.link.problem == ""
    expected = Machine(
        identity=Identity(name="Tread-01", manufacturer="Tests", model="Belt 1"),
        features=frozenset({"total_distance", "incline"}),
        targets=frozenset({"speed", "incline"}),
        speed_range=SpeedRange(min_speed_kmh=0.5, max_speed_kmh=3.0, step_speed_kmh=0.1),
        incline_range=InclineRange(min_incline_pct=0.0, max_incline_pct=15.0, step_incline_pct=0.5),
        controllable=True,
    )
    assert replace(machine, reads=()) == expected
    assert dict(machine.reads)[0x2AD4].hex() == "32002c010a00"


async def test_what_is_missing_is_left_out() -> None:
    """No ranges, no control point, no training status: still a link, with `None` for them."""
    async with linked(without=frozenset({0x2ACC, 0x2AD4, 0x2AD5, 0x2AD9, 0x2AD3})) as scene:
        machine = await scene.up()
        scene.write(1)
        expected = WriteOutcome(write_id=1, error="the machine has no control point")
        assert await scene.next() == expected
    assert (machine.features, machine.speed_range, machine.controllable) == (
        frozenset(),
        None,
        False,
    )


async def test_what_cannot_be_read_is_left_out() -> None:
    """An ATT error and a read that is never answered cost the value, not the link."""
    async with on_air() as air:
        air.machine.unreadable = {0x2AD4}
        inbox = Inbox()
        async with _running(TreadmillLink(air.backend, ADDRESS, inbox, LoopClock())) as link:
            machine = await Scene(air, link, inbox).up()
    assert (machine.speed_range, machine.incline_range is None) == (None, False)


async def test_a_mute_machine_still_links() -> None:
    """Every read times out by itself; notifications then come all the same."""
    async with on_air() as air:
        air.machine.mute = True
        inbox = Inbox()
        async with _running(TreadmillLink(air.backend, ADDRESS, inbox, LoopClock())) as link:
            machine = await Scene(air, link, inbox).up()
    assert machine == Machine(identity=Identity(name="Tread-01"))


async def test_notifications_are_stamped_and_queued_in_order() -> None:
    """All four characteristics, each with the clock's time of its arrival."""
    async with linked() as scene:
        await scene.up()
        sent = [
            Notification(0x2ACD, RECORD),
            Notification(0x2ADA, b"\x04"),
            Notification(0x2AD3, b"\x00\x0d"),
            Notification(0x2AD9, SUCCESS),
        ]
        await asyncio.sleep(5.0)
        started_s = asyncio.get_running_loop().time()
        for frame in sent[:3]:
            await scene.air.machine.notify(frame.characteristic, frame.payload)
        await scene.air.machine.indicate(0x2AD9, SUCCESS)
        arrived = [await scene.inbox.get() for _ in sent]
        assert [frame for _, frame in arrived] == sent
        assert [at_s for at_s, _ in arrived] == pytest.approx([started_s] * 4, abs=0.05)


async def test_status_that_comes_early_follows_link_up() -> None:
    """A machine may speak between its first subscription and the announcement of the link."""
    async with linked() as scene:
        machine = scene.air.machine
        async with asyncio.TaskGroup() as tasks:

            def speak(*_: object) -> None:
                tasks.create_task(machine.notify(0x2ADA, b"\x03"))

            training_status = machine.characteristics[0x2AD3]
            training_status.on("subscription", speak)
            await scene.up()
        assert await scene.next() == Notification(0x2ADA, b"\x03")


async def test_measurements_count_only_while_the_link_is_announced() -> None:
    """Earlier ones would look younger than they are, later ones would contradict `LinkDown`."""
    inbox = Inbox()
    gate = _Gate(inbox, LoopClock())
    early, late = Notification(0x2ACD, b"\x01"), Notification(0x2ACD, b"\x02")
    status = Notification(0x2ADA, b"\x03")
    gate.receive(0x2ACD, early.payload)
    gate.receive(0x2ADA, status.payload)
    gate.open(LinkUp(machine=Machine()))
    gate.receive(0x2ACD, late.payload)
    gate.shut("gone")
    gate.receive(0x2ADA, status.payload)
    arrived = [(await inbox.get())[1] for _ in range(len(inbox))]
    assert arrived == [LinkUp(machine=Machine()), status, late, LinkDown(detail="gone")]


@pytest.mark.parametrize("early", [True, False])
async def test_a_write_is_answered(early: bool) -> None:
    """The outcome and the indication both come, whichever is first on the air."""
    async with linked() as scene:
        await scene.up()

        async def answer(_: bytes) -> None:
            if early:
                await scene.air.machine.indicate(0x2AD9, SUCCESS)

        scene.air.machine.on_write = answer
        scene.write(7, b"\x02\x8c\x00")
        wanted = [Notification(0x2AD9, SUCCESS), WriteOutcome(write_id=7)]
        if early:
            assert [await scene.next(), await scene.next()] == wanted
        else:
            assert await scene.next() == wanted[1]
        assert scene.air.machine.writes == [b"\x02\x8c\x00"]


@pytest.mark.parametrize("code", [0x80, 0xFD, 0xFE])
async def test_an_att_error_is_told_with_its_code(code: int) -> None:
    """The machine's refusal is no radio failure."""
    async with linked() as scene:
        await scene.up()

        def refuse(_: bytes) -> None:
            raise ATT_Error(code)

        scene.air.machine.on_write = refuse
        scene.write(1)
        assert await scene.next() == WriteOutcome(write_id=1, att_error=code)


async def test_unlikely_error_is_a_radio_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """BlueZ reports a lost link and silence as ATT 0x0E; the machine has said nothing then."""

    async def lost(*_: object, **__: object) -> None:
        raise BleakGATTProtocolError(0x0E)

    async with linked() as scene:
        await scene.up()
        monkeypatch.setattr(BleakClient, "write_gatt_char", lost)
        scene.write(1)
        outcome = await scene.next()
        assert isinstance(outcome, WriteOutcome)
        assert (outcome.att_error, "Unlikely" in (outcome.error or "")) == (None, True)


async def test_a_write_without_answer_ends_by_itself_and_holds_nothing_up() -> None:
    """A later write (a stop) leaves at once as far as this end goes; both are answered."""
    async with linked() as scene:
        await scene.up()
        handed_over: list[bytes] = []
        original = BleakClient.write_gatt_char

        async def watched(
            client: BleakClient, found: object, data: bytes, response: bool | None = None
        ) -> None:
            handed_over.append(data)
            await original(client, found, data, response)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(BleakClient, "write_gatt_char", watched)
            scene.air.machine.mute = True
            started_s = asyncio.get_running_loop().time()
            scene.write(1, b"\x02\x8c\x00")
            scene.write(2, b"\x08\x01")
            await asyncio.sleep(0)
            assert handed_over == [b"\x02\x8c\x00", b"\x08\x01"]
            error = f"no write response within {WRITE_TIMEOUT_S:g} s"
            outcomes = {await scene.next(), await scene.next()}
        assert outcomes == {WriteOutcome(write_id=n, error=error) for n in (1, 2)}
        waited_s = asyncio.get_running_loop().time() - started_s
        assert waited_s == pytest.approx(WRITE_TIMEOUT_S, abs=0.1)


async def test_writes_under_way_end_with_the_link() -> None:
    """Each pending write is answered with an error at once, then the link is down."""
    async with linked() as scene:
        await scene.up()
        scene.air.machine.mute = True
        scene.write(1)
        scene.write(2)
        await asyncio.sleep(0.5)
        started_s = asyncio.get_running_loop().time()
        scene.air.drop()
        arrived = [await scene.next() for _ in range(3)]
        assert asyncio.get_running_loop().time() - started_s < 0.1
        outcomes = [item for item in arrived if isinstance(item, WriteOutcome)]
        assert [(o.write_id, o.att_error, bool(o.error)) for o in outcomes] == [
            (1, None, True),
            (2, None, True),
        ]
        assert LinkDown(detail="connection lost") in arrived


async def test_a_write_without_a_link_fails_at_once() -> None:
    """Before, between and after links there is always an answer."""
    async with on_air() as air:
        inbox = Inbox()
        link = TreadmillLink(air.backend, ADDRESS, inbox, LoopClock())
        link.write(ControlPointWrite(write_id=3, payload=b"\x08\x01", why="stop"))
        assert await inbox.get() == (0.0, WriteOutcome(write_id=3, error="not connected"))


@pytest.mark.parametrize("stood_s", [0.1, STEADY_S])
async def test_a_dropped_link_comes_back(stood_s: float) -> None:
    """Loss is told, the next try comes at once, and the machine is read anew."""
    async with linked() as scene:
        await scene.up()
        await asyncio.sleep(stood_s)
        scene.air.drop()
        lost_s = asyncio.get_running_loop().time()
        assert await scene.next() == LinkDown(detail="connection lost")
        scene.write(1)
        assert await scene.next() == WriteOutcome(write_id=1, error="not connected")
        again = await scene.up()
        assert asyncio.get_running_loop().time() - lost_s < 0.2
        assert again.identity.manufacturer == "Tests"
        await scene.air.machine.notify(0x2ACD, RECORD)
        assert await scene.next() == Notification(0x2ACD, RECORD)


async def test_links_that_never_stand_are_not_chased() -> None:
    """Lost again and again within moments, the pauses grow; a steady link forgets that."""
    async with linked() as scene:
        back_s = []
        for stand_s in (0.1, 0.1, 0.1, STEADY_S):
            await scene.up()
            await asyncio.sleep(stand_s)
            scene.air.drop()
            lost_s = asyncio.get_running_loop().time()
            assert isinstance(await scene.next(), LinkDown)
            while not len(scene.inbox):  # noqa: ASYNC110 - only looks
                await asyncio.sleep(0.01)
            back_s.append(asyncio.get_running_loop().time() - lost_s)
    assert back_s == pytest.approx([0.05, 0.55, 1.05, 0.05], abs=0.3)


async def test_it_waits_for_a_machine_that_is_off() -> None:
    """Off for ten minutes, then on: linked within half a minute, the reason told meanwhile."""
    async with linked() as scene:
        await scene.air.machine.device.stop_advertising()
        await asyncio.sleep(600.0)
        assert "not heard" in scene.link.problem
        assert len(scene.inbox) == 0
        await scene.air.machine.advertise()
        on_s = asyncio.get_running_loop().time()
        await scene.up()
        assert asyncio.get_running_loop().time() - on_s < 30.0


async def test_attempts_can_be_bounded() -> None:
    """With so many failures in a row it gives up and says why."""
    async with on_air() as air:
        link = TreadmillLink(air.backend, "Nobody", Inbox(), LoopClock(), max_attempts=3)
        with pytest.raises(LinkError, match="Nobody was not heard"):
            await link.run()
        assert asyncio.get_running_loop().time() == pytest.approx(31.5, abs=1.0)


async def test_a_machine_that_falls_silent_before_the_connection() -> None:
    """Found, then gone: the attempt ends in time, and the next one succeeds."""
    async with linked() as scene:
        (bridge,) = [c for c in scene.air.radio.controllers if c.name == "bridge"]

        def is_dialling() -> bool:
            return bridge.pending_le_connection is not None

        while not is_dialling():  # noqa: ASYNC110 - Bumble tells nobody
            await asyncio.sleep(0.001)
        await scene.air.machine.device.stop_advertising()
        await asyncio.sleep(CONNECT_TIMEOUT_S + 0.1)
        assert scene.link.problem == f"no connection within {CONNECT_TIMEOUT_S:g} s"
        assert not is_dialling()
        await scene.air.machine.advertise()
        await scene.up()


async def test_a_device_that_is_no_treadmill_is_named() -> None:
    """Without Treadmill Data there is nothing to drive by."""
    async with on_air(frozenset({0x2ACD})) as air:
        link = TreadmillLink(air.backend, ADDRESS, Inbox(), LoopClock(), max_attempts=1)
        with pytest.raises(LinkError, match="no Treadmill Data"):
            await link.run()
        assert not air.machine.device.connections


@pytest.mark.parametrize(("uuid16", "tolerated"), [("2ada", True), ("2ad9", False)])
async def test_a_subscription_that_fails(
    monkeypatch: pytest.MonkeyPatch, uuid16: str, tolerated: bool
) -> None:
    """Without status events one can drive; without the control point's answers one cannot."""
    original = BleakClient.start_notify

    async def failing(client: BleakClient, found: Any, *args: Any, **options: Any) -> None:
        if found.uuid[4:8] == uuid16:
            raise BleakError("no")
        await original(client, found, *args, **options)

    monkeypatch.setattr(BleakClient, "start_notify", failing)
    async with on_air() as air:
        inbox = Inbox()
        link = TreadmillLink(air.backend, ADDRESS, inbox, LoopClock(), max_attempts=1)
        if not tolerated:
            with pytest.raises(LinkError, match=f"{ADDRESS}: no"):
                await link.run()
            return
        async with _running(link):
            assert isinstance((await inbox.get())[1], LinkUp)


async def test_restart_lets_go_of_a_link_that_only_looks_alive() -> None:
    """What a killed bluetoothd leaves: no callback. The pilot's watchdog asks for a new link."""
    async with linked() as scene:
        await scene.up()
        await asyncio.sleep(60.0)
        scene.link.restart("no data for 10 s")
        assert await scene.next() == LinkDown(detail="no data for 10 s")
        await scene.up()
        await scene.air.machine.notify(0x2ACD, RECORD)
        assert await scene.next() == Notification(0x2ACD, RECORD)


async def test_restart_between_links_tries_at_once_and_drops_nothing() -> None:
    """Asked for while it waits out a pause, the new link comes sooner, and stands."""
    async with linked() as scene:
        await scene.air.machine.device.stop_advertising()
        (bridge,) = [c for c in scene.air.radio.controllers if c.name == "bridge"]
        await asyncio.sleep(600.0)
        while bridge.le_scan_enable:  # noqa: ASYNC110 - until the next pause begins
            await asyncio.sleep(0.1)
        await scene.air.machine.advertise()
        scene.link.restart()
        started_s = asyncio.get_running_loop().time()
        await scene.up()
        assert asyncio.get_running_loop().time() - started_s < 0.2
        await asyncio.sleep(60.0)
        assert len(scene.inbox) == 0


async def test_the_link_ends_in_order_when_it_is_cancelled() -> None:
    """The machine is let go, so that it advertises again for whoever comes next."""
    async with on_air() as air:
        inbox = Inbox()
        async with _running(TreadmillLink(air.backend, ADDRESS, inbox, LoopClock())):
            assert isinstance((await inbox.get())[1], LinkUp)
            assert air.machine.device.connections
        assert isinstance((await inbox.get())[1], LinkDown)
        assert not air.machine.device.connections


async def test_two_links_at_once() -> None:
    """Two machines, one adapter: found, connected and heard apart."""
    async with on_air() as air:
        other = await air.another(2, "Other")
        inboxes = Inbox(), Inbox()
        links = [
            TreadmillLink(air.backend, target, inbox, LoopClock())
            for target, inbox in zip((ADDRESS, "Other"), inboxes, strict=True)
        ]
        async with _running(links[0]), _running(links[1]):
            names = []
            for inbox in inboxes:
                _, item = await inbox.get()
                assert isinstance(item, LinkUp)
                names.append(item.machine.identity.name)
            await air.machine.notify(0x2ACD, b"\x01")
            await other.notify(0x2ACD, b"\x02")
            frames = [(await inbox.get())[1] for inbox in inboxes]
    assert names == ["Tread-01", "Other"]
    assert frames == [Notification(0x2ACD, b"\x01"), Notification(0x2ACD, b"\x02")]


def test_backoff_grows_to_a_ceiling() -> None:
    """At once, then half a second doubled each time, a fifth more or less, never without end."""
    waits_s = [backoff_s(failures) for failures in (0, 1, 2, 3, 4, 5, 6, 7, 1000)]
    expected = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, *[BACKOFF_CEILING_S] * 3]
    assert waits_s == pytest.approx(expected, rel=0.21)
    assert len({backoff_s(3) for _ in range(5)}) > 1


@pytest.mark.looptime(False)
async def test_a_controller_that_goes_away_and_comes_back() -> None:
    """The way to the radio is cut (dongle pulled, server restarted): down, then up on a new one."""
    radio = VirtualRadio()
    machine = Peripheral(await radio.device("machine", ADDRESS), "Tread-01")
    await machine.advertise()
    async with serve_radio(radio) as server, open_backend("bumble", server.transport) as backend:
        inbox = Inbox()
        async with _running(TreadmillLink(backend, ADDRESS, inbox, LoopClock())):
            async with asyncio.timeout(10.0):
                assert isinstance((await inbox.get())[1], LinkUp)
                server.cut()
                assert (await inbox.get())[1] == LinkDown(detail="connection lost")
                assert isinstance((await inbox.get())[1], LinkUp)
