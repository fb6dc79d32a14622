"""What a simulated treadmill is: who it says it is, its body and its habits. Data only.

A device profile tells how to take a machine; turned round, that is how the machine behaves, and
`model_of` turns it round. Refuses to know any machine by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bridge.core.errors import ConfigError, ProfileError
from bridge.core.matching import STANDARD_ID, DeviceProfile
from bridge.core.messages import Identity, InclineRange, ResultCode, SpeedRange, StatusCode
from bridge.core.quirks import KMH_PER_MPH, Quirks, with_console_unit
from bridge.device_profile import load_device_file
from bridge.device_simulation import SimulatorEntry
from bridge.simulator.belt import BeltSpec
from bridge.simulator.habits import Habits, TrainingCodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One kind of treadmill. ``quirks`` are its departures, its console's unit settled."""

    identity: Identity
    spec: BeltSpec = field(default_factory=BeltSpec)
    habits: Habits = field(default_factory=Habits)
    quirks: Quirks = field(default_factory=Quirks)


STANDARD: Final = Model(
    identity=Identity(
        name="Retrowalk Sim",
        manufacturer="Retrowalk",
        model="Simulated treadmill",
        serial="0001",
        hardware="1",
        firmware="1",
        software="1",
    )
)
"""A home treadmill that keeps to the specification."""

_STEPS_IN_MPH: Final = {"min_speed_kmh": 0.3, "max_speed_kmh": 7.5, "step_speed_kmh": 0.1}
"""The plain body of a console that counts miles, by its usual tenths."""

_SPEEDS: Final = tuple(_STEPS_IN_MPH)
_INCLINES: Final = ("min_incline_pct", "max_incline_pct", "step_incline_pct")
_EVERYTHING: Final = frozenset({"start", "stop", "pause", "speed", "incline"})
_SPEED_RANGE: Final = 0x2AD4
_INCLINE_RANGE: Final = 0x2AD5
_ACKNOWLEDGES: Final = {"measurement": "none"}


def find_model(name: str) -> Model:
    """The model of the device profile with this id.

    Raises `ConfigError` when there is none, or when its profile is wrong.
    """
    if name == STANDARD_ID:
        return STANDARD
    try:
        file = load_device_file(name)
    except ProfileError as error:
        raise ConfigError(f"model {name!r} cannot be had: {error}") from error
    return model_of(file.record(), file.simulator)


def model_of(profile: DeviceProfile, simulator: SimulatorEntry) -> Model:
    """The machine that ``profile`` is about, as far as it and ``simulator`` tell."""
    quirks = with_console_unit(profile.quirks, simulator.console_unit)
    plain = _plain_body(quirks, simulator)
    spec = replace(plain, **_corrections(quirks))
    habits = replace(
        Habits(told_body=plain if plain != spec else None),
        **_telemetry(quirks),
        **_control(quirks, simulator),
        **_status(quirks, simulator),
        **_link(quirks),
        **_shape(quirks, simulator),
    )
    identity = replace(profile.example, name=profile.example.name or profile.name)
    return Model(
        identity=identity,
        spec=spec,
        habits=replace(habits, **simulator.of_the_habits()),
        quirks=quirks,
    )


# --- the body ------------------------------------------------------------------------------------


def _plain_body(quirks: Quirks, simulator: SimulatorEntry) -> BeltSpec:
    """What the ranges tell, before it is put right."""
    body: dict[str, float] = {}
    if quirks.target_unit == "mph":
        body |= {name: value * KMH_PER_MPH for name, value in _STEPS_IN_MPH.items()}
    for range_, names in (
        (quirks.default_speed_range, _SPEEDS),
        (quirks.default_incline_range, _INCLINES),
    ):
        body |= {name: getattr(range_, name) for name in names if range_ is not None}
    return BeltSpec(**body | simulator.of_the_body())


def _corrections(quirks: Quirks) -> dict[str, float]:
    values = {name: getattr(quirks, name) for name in (*_SPEEDS, *_INCLINES)}
    return {name: value for name, value in values.items() if value is not None}


# --- the habits ----------------------------------------------------------------------------------


def _telemetry(quirks: Quirks) -> Mapping[str, Any]:
    zeros = tuple((name, 0.0) for name in sorted(quirks.ignored_fields))
    fields = Habits().record_fields + (("met",) if quirks.met_factor != 1 else ())
    return {
        "record_fields": fields,
        "fixed_fields": zeros + quirks.unavailable,
        "reports_in_mph": quirks.reported_unit == "mph",
        "incline_reported": quirks.incline_reported,
        "incline_told": "absent" if quirks.incline_echo else "true",
        "met_factor": quirks.met_factor,
        "hides_speed": quirks.speed_at_octet_2,
        "silent_at_rest": quirks.silent_at_rest,
        "rest_silence_s": quirks.rest_silence_s,
        "spurious_zeros": quirks.spurious_zeros,
        "speed_while_paused": quirks.speed_while_paused,
        "elapsed_while_walked": quirks.elapsed_while_walked,
        "zeroes_records": quirks.service == "other",
    }


def _control(quirks: Quirks, simulator: SimulatorEntry) -> Mapping[str, Any]:
    early = min(quirks.retry_results, default=int(ResultCode.OPERATION_FAILED))
    lies = tuple((code, simulator.false_results) for code in sorted(quirks.meaningless_results))
    return {
        "targets_in_mph": quirks.target_unit == "mph",
        "tells_targets_in_mph": quirks.target_unit == "mph",
        "incline_target": quirks.incline_target,
        "control_requests": quirks.control_requests,
        "control_request_gap_s": quirks.control_request_gap_ms / 1000,
        "control_before_target": quirks.control_before_target,
        "start_opcode": quirks.start_opcode,
        "start_while_running": _start_while_running(quirks),
        "needs_client_start": quirks.start_before_target == "needed",
        "deaf_after_start_s": quirks.after_start_ms / 1000,
        "needs_motion": quirks.motion_before_target,
        "early_result": None if simulator.early_target_drops_link else early,
        "keep_alive_s": quirks.keep_alive_s,
        "pause_means": quirks.pause_means,
        "ignored_ops": _EVERYTHING if quirks.service == "other" else quirks.ignored_ops,
        "false_results": lies,
        "acknowledges": _ACKNOWLEDGES.get(quirks.acknowledgement, quirks.acknowledgement),
    }


def _start_while_running(quirks: Quirks) -> str:
    if quirks.start_toggles:
        return "pauses"
    meanings = {"forbidden": "restarts", "needed": "succeeds", "unneeded": "fails"}
    return meanings[quirks.start_before_target]


def _status(quirks: Quirks, simulator: SimulatorEntry) -> Mapping[str, Any]:
    """A rewrite turned round: what means a start here is told when START is pressed."""
    asks = [
        (rewrite.opcode, rewrite.parameter)
        for rewrite in quirks.status_rewrites
        if rewrite.becomes == StatusCode.STARTED_OR_RESUMED_BY_USER
    ]
    plainly = (int(StatusCode.STARTED_OR_RESUMED_BY_USER), None)
    meaningless = {each.opcode for each in quirks.status_rewrites if each.becomes is None}
    return {
        "console_asks": (asks or [plainly])[0] if quirks.start_handshake else None,
        "streams_speed": int(StatusCode.TARGET_SPEED_CHANGED) in meaningless,
        "tells_own_changes": quirks.acknowledgement != "measurement",
        "replays_last_status": quirks.status_settle_ms > 0,
        "training_codes": TrainingCodes(**dict(simulator.training_codes)),
    }


def _link(quirks: Quirks) -> Mapping[str, Any]:
    return {
        "write_spacing_s": quirks.write_pacing_ms / 1000,
        "cccd_spacing_s": quirks.cccd_spacing_ms / 1000,
        "preambles": quirks.preamble,
        "control_writes": quirks.write_mode,
        "control_tells": "notify" if quirks.acknowledgement == "notification" else "indicate",
    }


def _shape(quirks: Quirks, simulator: SimulatorEntry) -> Mapping[str, Any]:
    defaults: tuple[tuple[SpeedRange | InclineRange | None, int], ...] = (
        (quirks.default_speed_range, _SPEED_RANGE),
        (quirks.default_incline_range, _INCLINE_RANGE),
    )
    missing = {uuid16 for range_, uuid16 in defaults if range_ is not None}
    return {
        "ranges_in_mph": quirks.range_unit == "mph",
        "lacks": frozenset(missing | {int(uuid, 16) for uuid in simulator.lacks}),
        "values": tuple(
            (int(uuid, 16), bytes.fromhex(octets)) for uuid, octets in simulator.values.items()
        ),
        "service_data": bytes.fromhex(simulator.service_data or "") or None,
        "advertises_service_data": simulator.service_data != "",
        "other_service": quirks.other_service,
        "advertises_other_service": quirks.service == "other",
    }
