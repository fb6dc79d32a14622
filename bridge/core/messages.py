"""The values that pass between the rooms, and the closed lists they are made of.

Frozen records only: no behaviour beyond refusing what is not finite or not in range. Units stand
in every name. Four speeds are four different fields, everywhere: *requested* (somebody asked),
*cleared* (the governor allowed; `Cleared`), *acknowledged* (the machine said yes), *measured* (the
machine reports it). What this module refuses to know: bytes, rules, where anything comes from.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import IntEnum, StrEnum
from typing import Literal


class Direction(StrEnum):
    """How the walker faces relative to the belt's motion; ``TURN`` is the change between two."""

    BACKWARD = "backward"
    FORWARD = "forward"
    LATERAL_LEFT = "lateral_left"
    LATERAL_RIGHT = "lateral_right"
    TURN = "turn"


class Phase(StrEnum):
    """Where a session stands (contract section 4)."""

    IDLE = "idle"
    ARMED = "armed"
    MOVING = "moving"
    TURNING = "turning"
    HOLDING = "holding"
    PAUSED = "paused"
    STOPPING = "stopping"
    ENDED = "ended"


class Source(StrEnum):
    """Who asked. The governor never sees it; only the door (S15) does."""

    CONSOLE = "console"
    PAGE = "page"
    MQTT = "mqtt"
    LOCAL = "local"
    BRIDGE = "bridge"


class Verb(StrEnum):
    """What can be asked of a running bridge (contract section 3)."""

    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    SLOW = "slow"
    ARM = "arm"
    DISARM = "disarm"
    CONFIRM = "confirm"
    START = "start"
    SPEED = "speed"
    INCLINE = "incline"
    RATE = "rate"


class Outcome(StrEnum):
    """What became of a command; all but ``ACCEPTED`` are final, and exactly one final comes."""

    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why something was refused, held or ended: one closed list for MQTT, HTTP, CLI and page."""

    ABOVE_CEILING = "above_ceiling"
    ALREADY_ARMED = "already_armed"
    ANNOUNCING = "announcing"
    BAD_PAYLOAD = "bad_payload"
    BELT_AT_REST = "belt_at_rest"
    BELT_MOVING = "belt_moving"
    CONSOLE_OVERRIDE = "console_override"
    CONTROL_LOST = "control_lost"
    DUPLICATE = "duplicate"
    EXPIRED = "expired"
    HEART_RATE = "heart_rate"
    KEY_OUT = "key_out"
    LEVEL_TOO_LOW = "level_too_low"
    LINK_DOWN = "link_down"
    NOT_ACCEPTED = "not_accepted"
    NOT_ARMED = "not_armed"
    NOT_DELIVERED = "not_delivered"
    NOT_FOLLOWING = "not_following"
    NOT_SUPPORTED = "not_supported"
    NO_VOICE = "no_voice"
    ONE_AT_A_TIME = "one_at_a_time"
    PROMPT_MISMATCH = "prompt_mismatch"
    PROMPT_OPEN = "prompt_open"
    RAMP = "ramp"
    REFUSED_BY_MACHINE = "refused_by_machine"
    REMOTE_NOT_ALLOWED = "remote_not_allowed"
    RETAINED = "retained"
    RUNAWAY = "runaway"
    STALE_DATA = "stale_data"
    STOPPING = "stopping"
    SUPERSEDED = "superseded"
    UNITS_NOT_PROVEN = "units_not_proven"
    UNKNOWN_OUTCOME = "unknown_outcome"
    UNKNOWN_PROGRAM = "unknown_program"
    UNKNOWN_WALKER = "unknown_walker"


class EventType(StrEnum):
    """The closed list of session events (contract section 5)."""

    SESSION_STARTED = "session_started"
    ARMED = "armed"
    DISARMED = "disarmed"
    SEGMENT_STARTED = "segment_started"
    ANNOUNCED = "announced"
    NOT_DELIVERED = "not_delivered"
    TARGET_CHANGED = "target_changed"
    SPEED_REACHED = "speed_reached"
    TURN_REQUESTED = "turn_requested"
    TURN_CONFIRMED = "turn_confirmed"
    HOLDING = "holding"
    PAUSED = "paused"
    RESUMED = "resumed"
    CONSOLE_OVERRIDE = "console_override"
    SAFETY_KEY_REMOVED = "safety_key_removed"
    LINK_LOST = "link_lost"
    LINK_RESTORED = "link_restored"
    STALE = "stale"
    RUNAWAY = "runaway"
    REFUSED = "refused"
    STOP_REQUESTED = "stop_requested"
    BELT_STOPPED = "belt_stopped"
    RATED = "rated"
    RECOVERED = "recovered"
    SESSION_ENDED = "session_ended"
    LEVEL_CHANGED = "level_changed"


class Urgency(StrEnum):
    """How an announcement is spoken: cues wait, warnings go first, alarms interrupt."""

    INFO = "info"
    WARN = "warn"
    ALARM = "alarm"


class OpCode(IntEnum):
    """Control point requests (FTMS v1.0 section 4.16.1)."""

    REQUEST_CONTROL = 0x00
    RESET = 0x01
    SET_TARGET_SPEED = 0x02
    SET_TARGET_INCLINE = 0x03
    START_OR_RESUME = 0x07
    STOP_OR_PAUSE = 0x08
    RESPONSE = 0x80


class ResultCode(IntEnum):
    """Control point results (FTMS v1.0 section 4.16.2.22). Any other code counts as failure."""

    SUCCESS = 0x01
    OP_CODE_NOT_SUPPORTED = 0x02
    INVALID_PARAMETER = 0x03
    OPERATION_FAILED = 0x04
    CONTROL_NOT_PERMITTED = 0x05


class StatusCode(IntEnum):
    """Fitness Machine Status events a treadmill session acts on (FTMS v1.0 section 4.17)."""

    RESET = 0x01
    STOPPED_OR_PAUSED_BY_USER = 0x02
    STOPPED_BY_SAFETY_KEY = 0x03
    STARTED_OR_RESUMED_BY_USER = 0x04
    TARGET_SPEED_CHANGED = 0x05
    TARGET_INCLINE_CHANGED = 0x06
    CONTROL_PERMISSION_LOST = 0xFF


# --- what the machine says -----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)  # no slots: the decoder fills the dictionary in one go
class Reading:
    """One Treadmill Data record (0x2ACD), or one fragment of it; absent fields are ``None``.

    ``warning`` is ``"truncated"`` when the frame ended inside a field that its flags promise and
    ``"trailing"`` when octets were left over.
    """

    more_data: bool = False
    speed_kmh: float | None = None
    average_speed_kmh: float | None = None
    distance_m: int | None = None
    incline_pct: float | None = None
    ramp_angle_deg: float | None = None
    elevation_gain_m: float | None = None
    negative_elevation_gain_m: float | None = None
    pace_min_per_km: float | None = None
    average_pace_min_per_km: float | None = None
    energy_kcal: int | None = None
    energy_per_hour_kcal: int | None = None
    energy_per_minute_kcal: int | None = None
    heart_rate_bpm: int | None = None
    met: float | None = None
    elapsed_s: int | None = None
    remaining_s: int | None = None
    force_n: int | None = None
    power_w: int | None = None
    steps: int | None = None
    warning: Literal["truncated", "trailing"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineStatus:
    """One Fitness Machine Status event (0x2ADA); only the parameters its opcode has are set."""

    opcode: int
    stop_or_pause: Literal["stop", "pause"] | None = None
    target_speed_kmh: float | None = None
    target_incline_pct: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlResponse:
    """An indication of the control point: what it answers, and how."""

    request_opcode: int
    result_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRange:
    """Supported Speed Range (0x2AD4), km/h."""

    min_speed_kmh: float
    max_speed_kmh: float
    step_speed_kmh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InclineRange:
    """Supported Inclination Range (0x2AD5), percent."""

    min_incline_pct: float
    max_incline_pct: float
    step_incline_pct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Device Information (0x180A) as far as the machine tells; empty when it does not."""

    name: str = ""
    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    hardware: str = ""
    firmware: str = ""
    software: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What one machine says of itself at connect. Ranges can differ at every connect (FitShow).

    ``features`` and ``targets`` are names of FTMS bits (facts: often wrong both ways); ``None``
    ranges mean that the characteristic is missing. ``controllable`` is whether 0x2AD9 exists.
    ``reads`` are the bytes behind all this (16-bit UUID, value), for captures.
    """

    identity: Identity = field(default_factory=Identity)
    features: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    speed_range: SpeedRange | None = None
    incline_range: InclineRange | None = None
    controllable: bool = True
    reads: tuple[tuple[int, bytes], ...] = ()


# --- what goes into the pilot --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUp:
    """The Bluetooth link is up, services are read, notifications are on.

    ``device`` is the id of the device profile that fits the machine.
    """

    machine: Machine
    device: str = "standard"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDown:
    """The Bluetooth link is gone; ``detail`` is for people."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """Bytes from a characteristic, named by its 16-bit UUID (0x2ACD, 0x2ADA, 0x2AD3, 0x2AD9...)."""

    characteristic: int
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOutcome:
    """What became of one control-point write: the Write Response came, or an error did.

    ``att_error`` is the ATT error code (0x01..0xFF; FTMS uses 0xFD and 0xFE); ``error`` any other
    failure, such as a lost link or no answer in time. Both ``None``: the write was taken.
    """

    write_id: int
    att_error: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A voice channel says that it spoke the announcement with this id (S6)."""

    announcement_id: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicesListening:
    """Which configured voice channels have somebody at the other end now."""

    channels: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One thing somebody asks. The door has already read the payload and the wall clock.

    ``age_s`` is how old the command was on arrival and ``expired`` whether its own expiry has
    passed, both judged by the wall clock at the door; the core knows no dates. ``malformed`` marks
    a payload that could not be read; it is refused, unless the verb is stop (S7, S16).
    """

    id: str
    verb: Verb
    source: Source
    now: bool = False
    program: str | None = None
    walker: str | None = None
    prompt: str | None = None
    speed_kmh: float | None = None
    incline_pct: float | None = None
    effort: int | None = None
    comfort: int | None = None
    rails: Literal["free", "touch", "grip"] | None = None
    pain: int | None = None
    age_s: float = 0.0
    expired: bool = False
    retained: bool = False
    malformed: bool = False


Input = LinkUp | LinkDown | Notification | WriteOutcome | Delivered | VoicesListening | Command


# --- what only the governor makes ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearedSpeed:
    """A target speed that may go to the machine, on the machine's own grid."""

    speed_kmh: float

    def __post_init__(self) -> None:
        """Raises `ValueError` for what no belt runs; NaN passes every naive comparison (S4)."""
        if not 0 <= self.speed_kmh < math.inf:
            raise ValueError(f"{self.speed_kmh!r} km/h is no target")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearedIncline:
    """A target incline that may go to the machine, on the machine's own grid."""

    incline_pct: float

    def __post_init__(self) -> None:
        """Raises `ValueError` for what is not finite, and for downhill (S4, S14)."""
        if not 0 <= self.incline_pct < math.inf:
            raise ValueError(f"{self.incline_pct!r} % is no target")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearedStart:
    """Leave to send Start/Resume once."""


Cleared = ClearedSpeed | ClearedIncline | ClearedStart


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No, and why."""

    reason: Reason


# --- what comes out of the pilot -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPointWrite:
    """Bytes to write, with response, to 0x2AD9; answered by a `WriteOutcome` with this id.

    ``why`` is for logs and captures: what the write does, in the field's words.
    """

    write_id: int
    payload: bytes
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One thing to say. ``expires_in_s`` is counted from the moment it leaves the pilot."""

    id: str
    text: str
    language: str
    urgency: Urgency
    lead_s: float
    expires_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEvent:
    """Something that belongs in the durable record. ``data`` holds JSON values only."""

    type: EventType
    session: str | None
    at_s: float
    data: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What became of one command (contract section 3)."""

    id: str
    verb: Verb
    outcome: Outcome
    reason: Reason | None = None
    measured_kmh: float | None = None


Output = ControlPointWrite | Announcement | SessionEvent | CommandResult


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPrompt:
    """A question that waits for a person. Its id must come back with the confirmation."""

    id: str
    text: str
    expires_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NextChange:
    """What will change next, for people and dashboards."""

    in_s: float
    direction: Direction
    speed_kmh: float
    incline_pct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A snapshot for publishing (contract section 4). ``None`` means unknown, never zero.

    ``target_speed_kmh`` is the *cleared* speed, ``speed_kmh`` the *measured* one.
    """

    link: Literal["up", "down"]
    stale: bool
    phase: Phase
    direction: Direction | None
    requested_speed_kmh: float | None
    target_speed_kmh: float | None
    acknowledged_speed_kmh: float | None
    speed_kmh: float | None
    target_incline_pct: float | None
    incline_pct: float | None
    heart_rate_bpm: int | None
    distance_m: float | None
    backward_distance_m: float | None
    elapsed_s: float | None
    backward_time_s: float | None
    energy_kcal: float | None
    energy_low_kcal: float | None
    energy_high_kcal: float | None
    program: str | None
    walker: str | None
    segment: int | None
    segments: int | None
    segment_remaining_s: float | None
    next_change: NextChange | None
    prompt: OpenPrompt | None
    safety_key: Literal["in", "out", "unknown"]
    problem: Reason | None
    session: str | None


# --- what people choose --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One stretch of a program: a direction, a ceiling speed and an incline for a time.

    ``speed_kmh`` is a ceiling (S20). ``relative`` says where it comes from instead when the walker
    has a history: ``"comfort"`` is the walker's comfort speed, with ``speed_kmh`` until it is
    known. For a turn ``duration_s`` is the least it takes. Cues are named, not spoken, here.
    """

    direction: Direction
    duration_s: float
    speed_kmh: float
    incline_pct: float = 0.0
    relative: Literal["comfort"] | None = None
    cues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A training program (profiles/training)."""

    id: str
    name: str
    level: str
    segments: tuple[Segment, ...]
    summary: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What a walker of one level may do (profiles/levels.toml; facts: backward walking, section 7).

    Ramps are km/h per second; ``incline_rate_pct_per_s`` percent per second. A ``None`` maximum
    means that the level does not do that at all. ``assumed_proven_kmh`` is what passing the gate
    into this level has shown, by direction (S20). ``turn_at_rest``: the belt stops for turns.
    """

    id: str
    rank: int
    name: str
    backward_max_kmh: float
    forward_max_kmh: float
    lateral_max_kmh: float | None
    step_kmh: float
    hold_s: float
    ramp_up_backward_kmh_per_s: float
    ramp_up_forward_kmh_per_s: float
    ramp_down_kmh_per_s: float
    warn_up_s: float
    warn_down_s: float
    incline_max_pct: float
    incline_rate_pct_per_s: float
    assumed_proven_backward_kmh: float
    assumed_proven_forward_kmh: float
    assumed_proven_lateral_kmh: float
    turn_at_rest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Walker:
    """A person, as far as safety needs to know them.

    ``proven_kmh`` maps a direction to the highest speed this person has held (S20).
    ``accepted_safety`` is the version of the safety text they accepted, 0 for none.
    """

    id: str
    level: Level
    mass_kg: float | None = None
    accepted_safety: int = 0
    comfort_kmh: float | None = None
    max_speed_kmh: float | None = None
    heart_limit_bpm: int | None = None
    proven_kmh: tuple[tuple[Direction, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """The words of one language (profiles/languages): phrases are `str.format` templates."""

    id: str
    phrases: Mapping[str, str]
    cues: Mapping[str, str]


def json_value(value: object) -> object:
    """A record, enum or plain value as JSON-ready data; ``None`` stays ``None``."""
    if isinstance(value, StrEnum):
        return value.value
    if is_dataclass(value):
        return {item.name: json_value(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, (tuple, list, frozenset)):
        return [json_value(item) for item in value]
    return value
