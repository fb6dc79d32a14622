"""`retrowalk simulate`: treadmills on a virtual radio behind a TCP port, or on a real controller.

Takes orders line by line while it runs (`orders`) and prints what is done to each machine. Refuses
to know the command line's own syntax: options come parsed.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from bumble.device import Device

from bridge.clock import Clock, LoopClock
from bridge.core.errors import ConfigError, LinkError
from bridge.radio import VirtualRadio, open_device
from bridge.simulator import orders
from bridge.simulator.air import serving_air
from bridge.simulator.ftms_server import FtmsServer
from bridge.simulator.gatt import GattTreadmill
from bridge.simulator.habits import Fault, parse_fault
from bridge.simulator.model import Model, find_model
from bridge.simulator.report import Reporter

DEFAULT_ADDRESS = "F0:F1:F2:F3:F4:01"
MOST_MACHINES = 200
_ADDRESS = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_HIGHEST_PORT = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for. Exactly one of ``air`` (HOST:PORT, port 0 for any) and ``transport``.

    ``name`` is the advertised name (default: the model's); with ``count`` above 1 they are
    numbered, and ``address`` counts up. ``press_start_after_s`` after a client has taken control,
    somebody presses the console's Start.
    """

    air: str | None = None
    transport: str | None = None
    faults: Sequence[str] = ()
    name: str | None = None
    address: str = DEFAULT_ADDRESS
    count: int = 1
    model: str = "standard"
    press_start_after_s: float | None = None
    heart_rate_bpm: int | None = None
    json_lines: bool = False


async def simulate(
    options: Options,
    *,
    clock: Clock | None = None,
    write_line: Callable[[str], None] | None = None,
    orders_fd: int | None = None,
) -> None:
    """Run until SIGTERM or cancellation (Ctrl-C); the treadmills leave the air in order.

    Orders are read from the file descriptor ``orders_fd`` (default: stdin); its end changes
    nothing. Raises `ConfigError` for options that make no sense and `LinkError` when the address
    or the controller cannot be had, or the controller is lost.
    """
    faults = [parse_fault(fault) for fault in options.faults]
    model = find_model(options.model)
    _check(options)
    simulation = _Simulation(options, model, faults, clock or LoopClock(), write_line)
    async with AsyncExitStack() as stack:
        ended = stack.enter_context(_terminated())
        lines = stack.enter_context(_lines(sys.stdin.fileno() if orders_fd is None else orders_fd))
        if options.air is not None:
            await stack.enter_async_context(simulation.on_air(*_host_port(options.air)))
        else:
            await stack.enter_async_context(simulation.on_controller(options.transport or ""))
        await simulation.run(lines, ended)


class _Simulation:
    """The machines of one run of the command."""

    def __init__(
        self,
        options: Options,
        model: Model,
        faults: Sequence[Fault],
        clock: Clock,
        write_line: Callable[[str], None] | None,
    ) -> None:
        self._options = options
        self._model = model
        self._faults = faults
        self._clock = clock
        self._reporter = Reporter(clock.now_s(), json_lines=options.json_lines, write=write_line)
        self._machines: list[GattTreadmill] = []

    @asynccontextmanager
    async def on_air(self, host: str, port: int) -> AsyncIterator[None]:
        """All machines on one virtual radio, served over TCP."""
        radio = VirtualRadio()
        for name, address in _callers(self._options, self._model):
            device = await radio.device(name, address)
            self._add(device, name, partial(radio.drop_links, device))
        async with serving_air(radio, host, port) as listening:
            self._ready(f"{host}:{listening}")
            yield

    @asynccontextmanager
    async def on_controller(self, transport: str) -> AsyncIterator[None]:
        """The one machine, on a controller that exists."""
        [(name, address)] = _callers(self._options, self._model)
        async with open_device(transport, name, address) as device:
            self._add(device, name, None)
            self._ready(transport)
            yield

    def _add(self, device: Device, name: str, drop_links: Callable[[], None] | None) -> None:
        habits = self._model.habits
        if self._options.press_start_after_s is not None:
            habits = replace(habits, press_start_after_s=self._options.press_start_after_s)
        server = FtmsServer(
            spec=self._model.spec,
            habits=habits,
            faults=self._faults,
            heart_rate_bpm=self._options.heart_rate_bpm,
            now_s=self._clock.now_s(),
        )
        machine = GattTreadmill(
            device,
            server,
            self._clock,
            identity=replace(self._model.identity, name=name),
            drop_links=drop_links,
            on_incident=lambda incident: self._reporter.incident(name, incident),
        )
        self._machines.append(machine)

    def _ready(self, where: str) -> None:
        self._reporter.ready(where, list(_callers(self._options, self._model)))

    async def run(self, lines: "asyncio.Queue[str]", ended: asyncio.Event) -> None:
        """Until ``ended``; raises `LinkError` when a controller is lost before."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(machine.run()) for machine in self._machines]
            waiting = tasks.create_task(ended.wait())
            obeying = tasks.create_task(self._obey(lines))
            await asyncio.wait((waiting, *running), return_when=asyncio.FIRST_COMPLETED)
            for task in (waiting, obeying, *running):
                task.cancel()
        if not ended.is_set():
            raise LinkError("the Bluetooth controller is gone")

    async def _obey(self, lines: "asyncio.Queue[str]") -> None:
        while True:
            line = (await lines.get()).strip()
            if not line:
                continue
            try:
                order, indexes = orders.addressed(line, len(self._machines))
                for index in indexes:
                    self._obey_one(order, self._machines[index])
            except ConfigError as error:
                self._reporter.refused(line, str(error))

    def _obey_one(self, order: str, machine: GattTreadmill) -> None:
        answer = orders.obey(order, machine.server, self._clock.now_s())
        if answer is not None:
            self._reporter.status(machine.identity.name, self._clock.now_s(), answer)
        machine.nudge()


# --- options -------------------------------------------------------------------------------------


def _check(options: Options) -> None:
    if (options.air is None) == (options.transport is None):
        raise ConfigError("simulate takes either air or transport; allowed: exactly one of them")
    if options.air is not None:
        _host_port(options.air)
    if not 1 <= options.count <= MOST_MACHINES:
        raise ConfigError(f"count {options.count} is wrong; allowed: 1 to {MOST_MACHINES}")
    if options.transport is not None and options.count != 1:
        raise ConfigError("a controller carries one treadmill; allowed with transport: count 1")
    if not _ADDRESS.fullmatch(options.address):
        raise ConfigError(f"address {options.address!r} is wrong; allowed: like {DEFAULT_ADDRESS}")
    after_s = options.press_start_after_s
    if after_s is not None and not 0 <= after_s < float("inf"):
        raise ConfigError(f"press-start-after {after_s} is wrong; allowed: 0 or more seconds")


def _host_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    good = colon and host and port.isascii() and port.isdigit() and int(port) <= _HIGHEST_PORT
    if not good:
        raise ConfigError(f"air {text!r} is wrong; allowed: HOST:PORT, like 127.0.0.1:6402")
    return host.strip("[]"), int(port)


def _callers(options: Options, model: Model) -> Iterator[tuple[str, str]]:
    """Name and address of each machine."""
    name = options.name or model.identity.name
    first = int(options.address.replace(":", ""), 16)
    for number in range(options.count):
        octets = ((first + number) % (1 << 48)).to_bytes(6, "big")
        own_name = name if options.count == 1 else f"{name} {number + 1}"
        yield own_name, octets.hex(":").upper()


# --- the world outside ---------------------------------------------------------------------------


@contextmanager
def _terminated() -> Iterator[asyncio.Event]:
    """Set by SIGTERM. Ctrl-C cancels by itself, as asyncio does it."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    with suppress(NotImplementedError, RuntimeError):  # not the main thread, or Windows
        loop.add_signal_handler(signal.SIGTERM, ended.set)
    try:
        yield ended
    finally:
        with suppress(NotImplementedError, RuntimeError):
            loop.remove_signal_handler(signal.SIGTERM)


@contextmanager
def _lines(fd: int) -> "Iterator[asyncio.Queue[str]]":
    """Lines from a file descriptor as they come; the end of it, or its absence, is no event."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str] = asyncio.Queue()
    rest = b""

    def read() -> bool:
        nonlocal rest
        try:
            octets = os.read(fd, 4096)
        except OSError:
            octets = b""
        if not octets:
            loop.remove_reader(fd)
            return False
        *whole, rest = (rest + octets).split(b"\n")
        for line in whole:
            queue.put_nowait(line.decode("utf-8", errors="replace"))
        return True

    try:
        loop.add_reader(fd, read)
    except PermissionError:  # a file or /dev/null: nothing to wait for
        while read():
            pass
    except (OSError, ValueError):  # closed
        pass
    try:
        yield queue
    finally:
        with suppress(OSError, ValueError):
            loop.remove_reader(fd)
