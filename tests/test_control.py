"""The task around a pilot: what leaves first, what a failing pilot leaves behind, how it rests."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest

from bridge.bluetooth.inbox import Inbox
from bridge.clock import Clock, LoopClock, PacedClock
from bridge.control import LAST_RESORT_S, REST_TIMEOUT_S, ControlLoop, Outlet
from bridge.core.control_codec import encode_stop
from bridge.core.messages import (
    Announcement,
    Command,
    CommandResult,
    ControlPointWrite,
    EventType,
    Input,
    LinkDown,
    LinkUp,
    Machine,
    Notification,
    Outcome,
    Output,
    Phase,
    SessionEvent,
    Source,
    State,
    Urgency,
    Verb,
    VoicesListening,
    WriteOutcome,
)
from bridge.core.pilot import Pilot
from bridge.simulator.ftms_server import FtmsServer
from tests.test_state_pacing import NOTHING_YET
from tests.virtual import settings

pytestmark = pytest.mark.looptime

REST_KMH = 0.05  # what counts as standing
STOP = encode_stop()
WRITE = ControlPointWrite(write_id=1, payload=b"\x00", why="control")
EVENT = SessionEvent(type=EventType.ARMED, session=None, at_s=0.0, data={})
SAID = Announcement(
    id="a-1", text="Faster.", language="en", urgency=Urgency.INFO, lead_s=8.0, expires_in_s=30.0
)
RESULT = CommandResult(id="c-1", verb=Verb.STOP, outcome=Outcome.CONFIRMED)


class Script:
    """Stands in for a pilot: says what it is told to, and notes what it is asked."""

    def __init__(self, *outputs: Output, raises: Exception | None = None) -> None:
        self.deck = type("Deck", (), {"settings": settings()})
        self.outputs = outputs
        self.raises = raises
        self.received: list[tuple[float, Input]] = []
        self.ticks: list[float] = []
        self.period_s = 1.0
        self.at_rest = True

    def receive(self, item: Input, now_s: float) -> list[Output]:
        """The next input."""
        self.received.append((now_s, item))
        if self.raises is not None:
            raise self.raises
        return [] if isinstance(item, WriteOutcome) else list(self.outputs)

    def tick(self, now_s: float) -> list[Output]:
        """Time."""
        self.ticks.append(now_s)
        return []

    def next_wakeup_s(self, now_s: float) -> float:
        """When time matters next."""
        return now_s + self.period_s

    def state(self, now_s: float) -> State:
        """Nothing in particular."""
        return NOTHING_YET


class Spoken(Outlet):
    """Notes what it is told into a list that it may share with a link."""

    def __init__(self, into: list[object]) -> None:
        self.into = into

    def event(self, treadmill: str, event: SessionEvent) -> None:
        """An event."""
        self.into.append(event)

    def announcement(self, treadmill: str, announcement: Announcement) -> None:
        """An announcement."""
        self.into.append(announcement)

    def result(self, treadmill: str, result: CommandResult) -> None:
        """A result."""
        self.into.append(result)

    def state(self, treadmill: str, state: State) -> None:
        """A snapshot."""
        self.into.append(state)


class Wire:
    """A link that notes its writes and answers each, with ``errors`` first."""

    def __init__(self, inbox: Inbox, into: list[object], errors: Sequence[int] = ()) -> None:
        self.inbox = inbox
        self.into = into
        self.errors = list(errors)
        self.silent = False

    def write(self, request: ControlPointWrite) -> None:
        """Answered at once."""
        self.into.append(request)
        error = self.errors.pop(0) if self.errors else None
        if not self.silent:
            now_s = asyncio.get_running_loop().time()
            self.inbox.put(now_s, WriteOutcome(write_id=request.write_id, att_error=error))


class Bench:
    """A control loop around a script."""

    def __init__(self, pilot: Script, *outlets: Outlet, errors: Sequence[int] = ()) -> None:
        self.told: list[object] = []
        self.inbox = Inbox()
        self.wire = Wire(self.inbox, self.told, errors)
        self.pilot = pilot
        self.loop = ControlLoop(
            cast("Pilot", pilot), self.wire, self.inbox, LoopClock(), [*outlets, Spoken(self.told)]
        )

    @property
    def payloads(self) -> list[bytes]:
        """What was written."""
        return [each.payload for each in self.told if isinstance(each, ControlPointWrite)]


@asynccontextmanager
async def running(loop: ControlLoop) -> AsyncIterator[None]:
    """The loop runs for the length of the block."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(loop.run())
        yield
        task.cancel()


STRAY = Notification(0x2ACD, b"\x00")


class TestOrder:
    """What leaves when."""

    async def test_writes_leave_before_anything_is_told(self) -> None:
        """S7: however late the pilot names a write, nothing that people read goes before it."""
        bench = Bench(Script(EVENT, SAID, RESULT, WRITE))
        async with running(bench.loop):
            await asyncio.sleep(0.1)
            bench.told.clear()
            bench.loop.put(STRAY)
            await asyncio.sleep(0.1)
            assert bench.told[:5] == [WRITE, EVENT, SAID, RESULT, NOTHING_YET]

    async def test_a_view_that_fails_stops_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        """A bug in a display never reaches the belt; it is logged once, not four times a second."""

        class Broken(Outlet):
            def state(self, treadmill: str, state: State) -> None:
                raise RuntimeError("no such colour")

        bench = Bench(Script(WRITE), Broken())
        async with running(bench.loop):
            for _ in range(3):
                bench.loop.put(STRAY)
                await asyncio.sleep(0.1)
        assert len(bench.payloads) == 3
        assert NOTHING_YET in bench.told
        assert [record.message for record in caplog.records] == ["garage: Broken fails"]

    async def test_inputs_count_from_when_they_came(self) -> None:
        """An old frame must not look fresh (S10), and the pilot's time never goes back."""
        bench = Bench(Script())
        for at_s, item in ((0.0, STRAY), (-5.0, STRAY), (3.0, LinkDown(detail="x"))):
            bench.inbox.put(at_s, item)
        async with running(bench.loop):
            await asyncio.sleep(0.1)
        times = [at_s for at_s, _ in bench.pilot.received]
        assert times == [0.0, 0.0, 3.0]
        assert min(bench.pilot.ticks) >= 0.0


class TestTime:
    """When the pilot is woken."""

    async def test_ticks_come_when_they_are_due(self) -> None:
        """One for each wake-up that the pilot names."""
        bench = Bench(Script())
        bench.pilot.period_s = 0.25
        async with running(bench.loop):
            await asyncio.sleep(1.1)
        assert bench.pilot.ticks == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])

    async def test_an_input_may_bring_the_next_one_forward(self) -> None:
        """A procedure that began in an idle second runs out on time, not with the idle tick."""
        bench = Bench(Script())
        bench.pilot.period_s = 10.0
        async with running(bench.loop):
            await asyncio.sleep(1.0)
            bench.pilot.period_s = 0.5
            bench.loop.put(STRAY)
            await asyncio.sleep(0.6)
        assert bench.pilot.ticks == pytest.approx([0.0, 1.0, 1.5])


class TestFailure:
    """A bug in the pilot."""

    async def test_it_leaves_a_stop_behind_and_is_raised(self) -> None:
        """The belt must not go on as if nothing had happened, nor the bridge."""
        bench = Bench(Script(raises=ZeroDivisionError("a bug")))
        bench.loop.put(STRAY)
        with pytest.raises(ExceptionGroup) as raised:
            await bench.loop.run()
        assert raised.group_contains(ZeroDivisionError, match="a bug")
        assert bench.payloads == [STOP]

    async def test_the_stop_is_repeated_until_it_is_taken(self) -> None:
        """The machine may be busy with what the pilot asked last (0xFE)."""
        bench = Bench(Script(raises=ZeroDivisionError()), errors=[0xFE, 0xFE])
        bench.loop.put(STRAY)
        with pytest.raises(ExceptionGroup):
            await bench.loop.run()
        assert bench.payloads == [STOP] * 3

    async def test_a_machine_that_does_not_answer_is_given_up_aloud(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The end is not held up for ever, and the person is told what still works."""
        bench = Bench(Script(raises=ZeroDivisionError()))
        bench.wire.silent = True
        bench.loop.put(STRAY)
        with pytest.raises(ExceptionGroup):
            await bench.loop.run()
        assert asyncio.get_running_loop().time() == pytest.approx(LAST_RESORT_S)
        assert caplog.records[-1].levelno == logging.CRITICAL
        assert "safety key" in caplog.records[-1].message

    async def test_a_loop_that_failed_cannot_promise_rest(self) -> None:
        """Whoever waits for all belts must hear that this one is not known to stand."""
        bench = Bench(Script(raises=ZeroDivisionError()))
        bench.loop.put(STRAY)
        with pytest.raises(ExceptionGroup):
            await bench.loop.run()
        assert await bench.loop.come_to_rest() is False


class Cable:
    """The real pilot on the simulator's pure server, in the loop's own time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.server = FtmsServer(now_s=clock.now_s())
        self.inbox = Inbox()
        self.told: list[object] = []
        self.deaf = False
        self.loop = ControlLoop(
            Pilot(settings()), self, self.inbox, clock, [Spoken(self.told), _Prompted(self)]
        )

    def write(self, request: ControlPointWrite) -> None:
        """As a link does."""
        now_s = self.clock.now_s()
        if self.deaf:
            return
        error = self.server.control_write(request.payload, now_s)
        self.inbox.put(now_s, WriteOutcome(write_id=request.write_id, att_error=error))

    async def run(self) -> None:
        """The machine's side of the air."""
        self.server.connect(self.clock.now_s(), 185)
        self.loop.put(VoicesListening(channels=frozenset({"mqtt"})))
        self.loop.put(LinkUp(machine=Machine()))
        while True:
            for uuid16, payload, _ in self.server.outgoing(self.clock.now_s()):
                self.inbox.put(self.clock.now_s(), Notification(uuid16, payload))
            await self.clock.sleep(0.05)

    async def until(self, phase: Phase) -> None:
        """Wait for the session to be so far."""
        end_s = self.clock.now_s() + 60.0
        while self.loop.pilot.deck.session.phase is not phase:
            assert self.clock.now_s() < end_s, [each for each in self.told if each != NOTHING_YET]
            await self.clock.sleep(0.1)

    async def arm(self) -> None:
        """Somebody wants to walk."""
        await self.clock.sleep(2.0)
        self.loop.put(Command(id="arm", verb=Verb.ARM, source=Source.MQTT, program="first-minute"))
        await self.until(Phase.ARMED)

    async def start(self) -> None:
        """A session whose belt moves."""
        await self.arm()
        await self.clock.sleep(2.0)
        self.server.press_start(self.clock.now_s())
        await self.until(Phase.MOVING)
        await self.clock.sleep(2.0)

    @property
    def types(self) -> list[EventType]:
        """The events so far."""
        return [each.type for each in self.told if isinstance(each, SessionEvent)]


class _Prompted(Outlet):
    """Confirms every prompt at once."""

    def __init__(self, cable: Cable) -> None:
        self._cable = cable
        self._asked: set[str] = set()

    def state(self, treadmill: str, state: State) -> None:
        """Answer what is asked."""
        if state.prompt is not None and state.prompt.id not in self._asked:
            self._asked.add(state.prompt.id)
            self._cable.loop.put(
                Command(
                    id=f"confirm-{state.prompt.id}",
                    verb=Verb.CONFIRM,
                    source=Source.MQTT,
                    prompt=state.prompt.id,
                )
            )


@asynccontextmanager
async def connected(cable: Cable) -> AsyncIterator[None]:
    """Machine and loop run."""
    async with asyncio.TaskGroup() as tasks:
        both = [tasks.create_task(cable.run()), tasks.create_task(cable.loop.run())]
        yield
        for task in both:
            task.cancel()


class TestRest:
    """S18: every end ends the belt."""

    async def test_a_moving_belt_is_walked_down_and_stopped(self) -> None:
        """The end of the bridge is the end of the session: recorded, and at rest."""
        cable = Cable(LoopClock())
        async with connected(cable):
            await cable.start()
            assert cable.server.belt.speed_kmh > 0.3
            assert await cable.loop.come_to_rest() is True
            assert cable.server.belt.speed_kmh < REST_KMH
        assert cable.types[-1] is EventType.SESSION_ENDED

    async def test_it_works_on_a_paced_clock(self) -> None:
        """The demo's clock: rest is waited for in its time."""
        clock = PacedClock(20)
        cable = Cable(clock)
        async with clock.running(), connected(cable):
            await cable.start()
            assert await cable.loop.come_to_rest() is True
            assert cable.server.belt.speed_kmh < REST_KMH

    async def test_an_arming_is_taken_back(self) -> None:
        """Nobody may start a belt that has no bridge any more."""
        cable = Cable(LoopClock())
        async with connected(cable):
            await cable.arm()
            assert await cable.loop.come_to_rest() is True
        # A belt whose rest was not certain yet may have been stopped as well, after that.
        assert EventType.DISARMED in cable.types
        assert cable.loop.pilot.deck.session.phase is Phase.IDLE

    async def test_a_belt_that_is_not_ours_is_left_alone(self) -> None:
        """Somebody walks without us: ending the bridge is no reason to stop them."""
        cable = Cable(LoopClock())
        async with connected(cable):
            await asyncio.sleep(1.0)
            cable.server.press_start(cable.clock.now_s())
            await asyncio.sleep(5.0)
            assert await cable.loop.come_to_rest() is True
            assert cable.server.belt.speed_kmh > 0.0

    async def test_a_belt_that_does_not_stop_is_not_called_at_rest(self) -> None:
        """The wait ends, with the truth."""
        cable = Cable(LoopClock())
        async with connected(cable):
            await cable.start()
            cable.deaf = True
            began_s = asyncio.get_running_loop().time()
            assert await cable.loop.come_to_rest() is False
            assert asyncio.get_running_loop().time() - began_s == pytest.approx(REST_TIMEOUT_S)
            assert cable.server.belt.speed_kmh > 0.0
