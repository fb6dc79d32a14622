"""A client on a simulated model's pure server, in virtual time: as plain, or as apt, as asked."""

from bridge.core.control_codec import decode_status, encode_request
from bridge.core.ftms import (
    RecordJoiner,
    decode_incline_range,
    decode_speed_range,
    decode_treadmill_data,
    read_features,
)
from bridge.core.messages import Machine, MachineStatus, OpCode, Reading
from bridge.core.quirks import (
    correct_frame,
    correct_reading,
    machine_limits,
    target_incline_to_machine,
    target_speed_to_machine,
)
from bridge.simulator.ftms_server import (
    CONTROL_POINT,
    FEATURE,
    INCLINE_RANGE,
    MACHINE_STATUS,
    SPEED_RANGE,
    TRAINING_STATUS,
    TREADMILL_DATA,
    FtmsServer,
)
from bridge.simulator.model import Model, find_model

CONTROL, STOP, PAUSE = b"\x00", b"\x08\x01", b"\x08\x02"
START = b"\x07"
STEP_S = 0.05
SUBSCRIPTIONS = (CONTROL_POINT, MACHINE_STATUS, TRAINING_STATUS, TREADMILL_DATA)


class Central:
    """One link to one model. ``apt`` ones keep to the profile; others know plain FTMS only."""

    def __init__(self, model: str | Model, *, apt: bool = True, mtu: int = 185) -> None:
        self.model = find_model(model) if isinstance(model, str) else model
        self.quirks = self.model.quirks
        self.server = FtmsServer(spec=self.model.spec, habits=self.model.habits)
        self.now_s = 0.0
        self.inbox: list[tuple[float, int, bytes, str]] = []
        self.apt = apt
        self.mtu = mtu
        self.link()

    def link(self) -> None:
        """Connect and, an apt one, prepare the machine as its profile says."""
        self.server.connect(self.now_s, self.mtu)
        if not self.apt:
            return
        self.unlock("connect")
        for uuid16 in SUBSCRIPTIONS:
            if self.server.habits.has(uuid16):
                assert self.server.subscribe(uuid16, self.now_s)
                self.wait(self.quirks.cccd_spacing_ms / 1000)

    def unlock(self, at: str) -> None:
        """Write the preambles of this moment."""
        for each in self.quirks.preamble:
            if each.at == at:
                self.server.vendor_write(each.characteristic, each.payload, self.now_s)

    def wait(self, seconds: float) -> "Central":
        """Let time pass, keeping what comes."""
        for _ in range(round(seconds / STEP_S)):
            self.now_s = round(self.now_s + STEP_S, 6)
            self.collect()
        return self

    def collect(self) -> None:
        """Take what is due now."""
        for uuid16, payload, kind in self.server.outgoing(self.now_s):
            self.inbox.append((self.now_s, uuid16, payload, kind))

    # --- asking -----------------------------------------------------------------------------------

    def write(self, payload: bytes) -> list[bytes]:
        """One write, as the client is; every answer of the control point to it."""
        if self.apt:
            self.wait(self.quirks.write_pacing_ms / 1000)
            self.unlock("each-write")
        before = len(self.inbox)
        assert self.server.control_write(payload, self.now_s) is None
        self.collect()
        return [raw for _, uuid16, raw, _ in self.inbox[before:] if uuid16 == CONTROL_POINT]

    def ask(self, payload: bytes) -> int:
        """One write, and the result code of its answer."""
        return self.write(payload)[0][2]

    def take_control(self) -> "Central":
        """As often as the profile says."""
        for _ in range(self.quirks.control_requests):
            self.write(CONTROL)
            self.wait(self.quirks.control_request_gap_ms / 1000)
        return self

    def moving(self) -> "Central":
        """Take control; somebody presses Start; the belt settles at its minimum."""
        self.take_control()
        self.server.press_start(self.now_s)
        if self.quirks.start_handshake:
            self.write(CONTROL)
            self.write(START)
        return self.wait(20)

    def set_speed(self, kmh: float) -> list[bytes]:
        """Ask for km/h in the machine's unit."""
        if self.quirks.control_before_target:
            self.write(CONTROL)
        said = target_speed_to_machine(kmh, self.quirks)
        return self.write(encode_request(OpCode.SET_TARGET_SPEED, target_speed_kmh=said))

    def set_incline(self, pct: float) -> list[bytes]:
        """Ask for percent in the machine's code."""
        if self.quirks.control_before_target:
            self.write(CONTROL)
        said = target_incline_to_machine(pct, self.quirks)
        return self.write(encode_request(OpCode.SET_TARGET_INCLINE, target_incline_pct=said))

    # --- what it hears ----------------------------------------------------------------------------

    def payloads(self, uuid16: int, since_s: float = 0.0) -> list[bytes]:
        """What came from one characteristic."""
        return [raw for at_s, each, raw, _ in self.inbox if each == uuid16 and at_s > since_s]

    def kinds(self, uuid16: int) -> set[str]:
        """How it came."""
        return {kind for _, each, _, kind in self.inbox if each == uuid16}

    def statuses(self, since_s: float = 0.0) -> list[MachineStatus]:
        """Status events, decoded and no more."""
        return [decode_status(raw) for raw in self.payloads(MACHINE_STATUS, since_s)]

    def raw_readings(self, since_s: float = 0.0) -> list[Reading]:
        """Records as they stand on the wire, unjoined."""
        return [decode_treadmill_data(raw) for raw in self.payloads(TREADMILL_DATA, since_s)]

    def readings(self, since_s: float = 0.0) -> list[Reading]:
        """Whole records, put right by the profile."""
        joiner = RecordJoiner()
        whole = []
        for at_s, uuid16, raw, _ in self.inbox:
            if uuid16 == TREADMILL_DATA and at_s > since_s:
                told = decode_treadmill_data(correct_frame(raw, self.quirks))
                if (joined := joiner.push(told, at_s)) is not None:
                    whole.append(correct_reading(joined, self.quirks))
        return whole

    @property
    def kmh(self) -> float:
        """What the belt really does."""
        self.server.advance(self.now_s)
        return self.server.belt.speed_kmh

    def machine(self) -> Machine:
        """What the machine says of itself at connect, put right by the profile."""
        told = self.server.habits.has
        claims = read_features(self.server.read(FEATURE))
        return machine_limits(
            Machine(
                features=frozenset(claims["features"]),
                targets=frozenset(claims["targets"]),
                speed_range=decode_speed_range(self.server.read(SPEED_RANGE))
                if told(SPEED_RANGE)
                else None,
                incline_range=decode_incline_range(self.server.read(INCLINE_RANGE))
                if told(INCLINE_RANGE)
                else None,
                controllable=told(CONTROL_POINT),
            ),
            self.quirks,
        )


def set_speed(raw: int) -> bytes:
    """Set Target Speed with this number in its field."""
    return b"\x02" + raw.to_bytes(2, "little")


def set_incline(raw: int) -> bytes:
    """Set Target Inclination with this number in its field."""
    return b"\x03" + raw.to_bytes(2, "little", signed=True)
