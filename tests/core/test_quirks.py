"""`bridge.core.quirks`: the corrections hold for every value there is, and err on the slow side."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.control_codec import step_down_kmh
from bridge.core.ftms import decode_treadmill_data
from bridge.core.messages import InclineRange, Machine, MachineStatus, Reading, SpeedRange
from bridge.core.quirks import (
    KMH_PER_MPH,
    READING_FIELDS,
    STANDARD,
    InclineCodec,
    PreambleWrite,
    Quirks,
    StatusRewrite,
    Unit,
    correct_frame,
    correct_reading,
    correct_status,
    depends_on_console_unit,
    machine_limits,
    speaks_ftms,
    target_incline_from_machine,
    target_incline_to_machine,
    target_speed_from_machine,
    target_speed_to_machine,
    with_console_unit,
)

MPH = Quirks(target_unit="mph", reported_unit="mph", range_unit="mph")
CODES = InclineCodec(table=((0.0, 0), (1.0, 20), (2.0, 30), (10.0, 150)))
UNITS: list[Unit] = ["kmh", "mph", "console"]

numbers = st.floats() | st.integers(-(2**24), 2**24)
readings = st.builds(
    Reading,
    **{name: st.none() | numbers for name in READING_FIELDS},
)
codecs = st.sampled_from(
    [InclineCodec(), CODES, InclineCodec(per_pct=62.5), InclineCodec(per_pct=20.0, offset=5.0)]
)
quirks_of_readings = st.builds(
    Quirks,
    reported_unit=st.sampled_from(UNITS),
    incline_reported=codecs,
    incline_echo=st.booleans(),
    ignored_fields=st.frozensets(st.sampled_from(READING_FIELDS)),
    unavailable=st.lists(st.tuples(st.sampled_from(READING_FIELDS), st.floats())).map(tuple),
    met_factor=st.sampled_from([1.0, 10.0]),
    control_requests=st.just(1),
)


# --- readings ------------------------------------------------------------------------------------


@given(readings, quirks_of_readings, st.none() | st.floats())
def test_no_reading_is_too_odd(reading: Reading, quirks: Quirks, last: float | None) -> None:
    """Any record through any quirks is a record, without what is to be ignored."""
    corrected = correct_reading(reading, quirks, last)
    for name in quirks.ignored_fields - {"incline_pct"}:
        assert getattr(corrected, name) is None
    assert (corrected.more_data, corrected.warning) == (reading.more_data, reading.warning)


@given(readings)
def test_the_standard_changes_nothing(reading: Reading) -> None:
    """Neither by the record itself nor by one that equals it."""
    assert correct_reading(reading, STANDARD) is reading
    assert correct_reading(reading, Quirks(), 3.0) is reading


def test_speeds_in_mph() -> None:
    """1.61 km/h is 1 mph; both speeds of a record change, nothing else."""
    reading = Reading(speed_kmh=1.0, average_speed_kmh=0.5, distance_m=7, incline_pct=1.0)
    expected = replace(reading, speed_kmh=1.61, average_speed_kmh=0.8)
    assert correct_reading(reading, MPH) == expected


def test_an_unknown_unit_is_the_one_that_stops_sooner() -> None:
    """Until the console has been read, a reported 1.0 counts as 1.61: too fast, not too slow."""
    console = Quirks(target_unit="console", reported_unit="console")
    assert depends_on_console_unit(console)
    assert correct_reading(Reading(speed_kmh=1.0), console).speed_kmh == 1.61
    assert target_speed_to_machine(1.0, console) == 0.62
    settled = with_console_unit(console, "kmh")
    assert settled == STANDARD
    assert not depends_on_console_unit(settled)
    assert with_console_unit(console, "mph").target_unit == "mph"
    assert with_console_unit(MPH, "kmh") == MPH


def test_values_that_mean_nothing() -> None:
    """Ignored fields go; a machine's own "not available" goes, other values of the field stay."""
    quirks = Quirks(
        ignored_fields=frozenset({"distance_m"}),
        unavailable=(("negative_elevation_gain_m", 6553.5), ("power_w", 9999)),
        met_factor=10.0,
    )
    reading = Reading(distance_m=0, negative_elevation_gain_m=6553.5, power_w=80, met=0.2)
    assert correct_reading(reading, quirks) == Reading(power_w=80, met=2.0)


def test_incline_by_codes_and_by_scale() -> None:
    """Codes go to the nearest known one; a BH frame's raw 180 at 62.5 a percent is 2.88 %."""
    by_code = Quirks(incline_reported=CODES)
    assert correct_reading(Reading(incline_pct=2.0), by_code).incline_pct == 1.0
    assert correct_reading(Reading(incline_pct=2.9), by_code).incline_pct == 2.0
    bh = decode_treadmill_data(bytes.fromhex("8c016202000000b400000000000000000000"))
    by_scale = Quirks(incline_reported=InclineCodec(per_pct=62.5))
    assert correct_reading(bh, by_scale).incline_pct == 2.88


def test_incline_that_is_never_reported() -> None:
    """The last accepted target stands for it, and unknown stays unknown."""
    echo = Quirks(incline_echo=True)
    assert correct_reading(Reading(speed_kmh=1.0), echo, 4.0).incline_pct == 4.0
    assert correct_reading(Reading(incline_pct=9.9), echo).incline_pct is None


def test_speed_whatever_the_flags_say() -> None:
    """A frame that denies its speed is read by octets 2 and 3; one without room for it is not."""
    quirks = Quirks(speed_at_octet_2=True)
    fixed = correct_frame(bytes.fromhex("0500 9600 070000".replace(" ", "")), quirks)
    assert decode_treadmill_data(fixed) == Reading(speed_kmh=1.5, distance_m=7)
    assert correct_frame(b"\x05\x00\x96", quirks) == b"\x05\x00\x96"
    assert correct_frame(b"\x05\x00\x96\x00", STANDARD) == b"\x05\x00\x96\x00"


# --- targets -------------------------------------------------------------------------------------


@given(st.floats(0, 600), st.sampled_from(UNITS))
def test_targets_never_round_up(speed_kmh: float, unit: Unit) -> None:
    """What goes out makes the belt run as asked or at most one step of the field slower."""
    quirks = Quirks(target_unit=unit)
    said = target_speed_to_machine(speed_kmh, quirks)
    runs_kmh = target_speed_from_machine(said, quirks)
    assert said == round(said, 2)
    assert runs_kmh <= speed_kmh + 1e-4
    assert runs_kmh > speed_kmh - 0.01 * KMH_PER_MPH - 1e-7


@given(st.integers(0, 0xFFFF), st.sampled_from(UNITS))
def test_every_target_of_the_field_comes_back(raw: int, unit: Unit) -> None:
    """From the field to km/h and back is the same number, for all 65536 of them."""
    quirks = Quirks(target_unit=unit)
    said = raw / 100
    assert target_speed_to_machine(target_speed_from_machine(said, quirks), quirks) == said


def test_one_kmh_on_a_machine_that_reads_mph() -> None:
    """1.0 km/h goes out as 0.62 mph, which is 0.998 km/h; plain machines get what is asked."""
    assert target_speed_to_machine(1.0, MPH) == 0.62
    assert target_speed_from_machine(0.62, MPH) == pytest.approx(0.99779328)
    assert [target_speed_to_machine(kmh / 10, STANDARD) for kmh in (23, 29, 41)] == [2.3, 2.9, 4.1]


@pytest.mark.parametrize("speed_kmh", [-0.1, math.nan, math.inf])
def test_what_is_no_speed_is_no_target(speed_kmh: float) -> None:
    """Refused, not sent."""
    with pytest.raises(ValueError, match="does not run"):
        target_speed_to_machine(speed_kmh, MPH)


@given(st.floats(0, 40), codecs)
def test_inclines_never_round_up(incline_pct: float, codec: InclineCodec) -> None:
    """What goes out is as steep as asked or less, and reads back as a target does."""
    quirks = Quirks(incline_target=codec)
    said = target_incline_to_machine(incline_pct, quirks)
    stands_at = target_incline_from_machine(said, quirks)
    assert stands_at <= incline_pct + 1e-6
    assert target_incline_to_machine(stands_at, quirks) == said


def test_inclines_by_code() -> None:
    """Between two codes the lower; below all of them the first."""
    quirks = Quirks(incline_target=CODES)
    said = [target_incline_to_machine(pct, quirks) for pct in (-3, 0, 1.0, 1.9, 2, 40)]
    assert said == [0.0, 0.0, 2.0, 2.0, 3.0, 15.0]
    with pytest.raises(ValueError, match="no incline"):
        target_incline_to_machine(math.nan, quirks)


@pytest.mark.parametrize(
    "codec", [{"per_pct": 0.0}, {"table": ((1.0, 5), (1.0, 6))}, {"table": ((1.0, 5), (2.0, 5))}]
)
def test_a_codec_can_be_turned_round(codec: dict[str, object]) -> None:
    """One that could not is refused."""
    with pytest.raises(ValueError, match="must"):
        InclineCodec(**codec)  # type: ignore[arg-type]


# --- status --------------------------------------------------------------------------------------

STOPPED = MachineStatus(opcode=2, stop_or_pause="stop")


def test_status_parameters_are_in_the_machines_units() -> None:
    """A target changed to 1.00 mph is 1.61 km/h; an incline code is the percent it stands for."""
    speed = correct_status(MachineStatus(opcode=5, target_speed_kmh=1.0), MPH, at_rest=False)
    assert speed == MachineStatus(opcode=5, target_speed_kmh=1.61)
    codes = Quirks(incline_target=CODES)
    incline = correct_status(MachineStatus(opcode=6, target_incline_pct=3.0), codes, at_rest=False)
    assert incline == MachineStatus(opcode=6, target_incline_pct=2.0)
    assert correct_status(STOPPED, MPH, at_rest=False) is STOPPED


def test_a_start_button_that_says_stop() -> None:
    """On a standing belt 02 01 means START was pressed; on a moving one it is a stop."""
    rewrite = StatusRewrite(opcode=2, parameter="stop", at_rest=True, becomes=4)
    quirks = Quirks(status_rewrites=(rewrite,))
    assert correct_status(STOPPED, quirks, at_rest=True) == MachineStatus(opcode=4)
    assert correct_status(STOPPED, quirks, at_rest=False) is STOPPED
    paused = MachineStatus(opcode=2, stop_or_pause="pause")
    assert correct_status(paused, quirks, at_rest=True) is paused


def test_events_that_mean_nothing() -> None:
    """A machine that streams its speed as a target is not heard."""
    quirks = Quirks(status_rewrites=(StatusRewrite(opcode=5),))
    status = MachineStatus(opcode=5, target_speed_kmh=2.0)
    assert correct_status(status, quirks, at_rest=False) is None


@pytest.mark.parametrize(("opcode", "at_rest"), [(3, False), (3, True), (2, False)])
def test_no_profile_hides_a_stop(opcode: int, at_rest: bool) -> None:
    """S9: the safety key always counts, and a stop does while the belt moves."""
    with pytest.raises(ValueError, match=r"safety key|at_rest"):
        StatusRewrite(opcode=opcode, at_rest=at_rest)


# --- limits --------------------------------------------------------------------------------------


def test_ranges_in_mph_keep_the_machines_own_grid() -> None:
    """0.6 to 3.8 mph by 0.1: every tenth of a mph is offered, the last as exactly as the first."""
    told = SpeedRange(min_speed_kmh=0.6, max_speed_kmh=3.8, step_speed_kmh=0.1)
    limits = machine_limits(Machine(speed_range=told), MPH).speed_range
    assert limits is not None
    offered = [step_down_kmh(tenths * 0.1609344 + 0.01, limits) for tenths in range(6, 39)]
    assert [target_speed_to_machine(kmh, MPH) for kmh in offered] == [
        tenths / 10 for tenths in range(6, 39)
    ]


def test_ranges_are_overridden_and_filled_in() -> None:
    """What the profile knows replaces what is told, and stands in for what is not."""
    told = SpeedRange(min_speed_kmh=0.96, max_speed_kmh=6.43, step_speed_kmh=0.32)
    quirks = Quirks(
        step_speed_kmh=0.16,
        min_speed_kmh=1.0,
        max_incline_pct=10.0,
        default_incline_range=InclineRange(
            min_incline_pct=0.0, max_incline_pct=15.0, step_incline_pct=1.0
        ),
    )
    limits = machine_limits(Machine(speed_range=told), quirks)
    assert limits.speed_range == SpeedRange(
        min_speed_kmh=1.0, max_speed_kmh=6.43, step_speed_kmh=0.16
    )
    assert limits.incline_range == InclineRange(
        min_incline_pct=0.0, max_incline_pct=10.0, step_incline_pct=1.0
    )
    assert machine_limits(Machine(), quirks).speed_range is None
    assert machine_limits(Machine(speed_range=told), replace(quirks, min_speed_kmh=9.0)) == replace(
        limits, speed_range=told
    )


def test_what_does_not_work_is_not_offered() -> None:
    """No incline range where inclines are ignored; no control where a stop is."""
    machine = Machine(
        targets=frozenset({"speed", "incline"}),
        incline_range=InclineRange(min_incline_pct=0, max_incline_pct=15, step_incline_pct=1),
    )
    flat = machine_limits(machine, Quirks(ignored_ops=frozenset({"incline"})))
    assert flat.incline_range is None
    assert flat.targets == frozenset({"speed"})
    assert flat.controllable
    deaf = machine_limits(machine, Quirks(ignored_ops=frozenset({"stop"})))
    assert not deaf.controllable
    assert machine_limits(machine, STANDARD) == machine


# --- the record ----------------------------------------------------------------------------------


def test_a_facade_is_known_by_the_other_service() -> None:
    """FTMS counts unless the profile says otherwise and that service is really there."""
    other = "0000fff0-0000-1000-8000-00805f9b34fb"
    facade = Quirks(service="other", other_service=other)
    assert not speaks_ftms(facade, [other.upper()])
    assert speaks_ftms(facade, [])
    assert speaks_ftms(Quirks(other_service=other), [other])


@pytest.mark.parametrize(
    ("departures", "message"),
    [
        ({"start_opcode": 0}, "0x00 starts the belt"),
        ({"start_opcode": 0, "control_requests": 0, "control_before_target": True}, "0x00 starts"),
        ({"start_handshake": True, "start_opcode": 9}, "start_handshake"),
        ({"ignored_fields": frozenset({"speed"})}, "no field"),
        ({"unavailable": (("speed", 0.0),)}, "no field"),
        ({"service": "other"}, "other_service"),
    ],
)
def test_departures_that_cannot_be(departures: dict[str, object], message: str) -> None:
    """S1 first: where a request for control starts the belt, none may ever be sent by itself."""
    with pytest.raises(ValueError, match=message):
        Quirks(**departures)  # type: ignore[arg-type]


def test_quirks_are_values() -> None:
    """Frozen, comparable and hashable, with everything in them."""
    preamble = (PreambleWrite(characteristic="x", payload=b"\x01"),)
    one, same = Quirks(preamble=preamble), Quirks(preamble=preamble)
    assert one == same
    assert hash(one) == hash(same)
    assert one != STANDARD


def test_targets_in_mph_are_asked_in_tenths_of_a_mile() -> None:
    """A range told in hundredths of a km/h makes no console finer; a coarser one stays."""
    fine = SpeedRange(min_speed_kmh=0.5, max_speed_kmh=10.0, step_speed_kmh=0.01)
    limits = machine_limits(Machine(speed_range=fine), MPH_TARGETS).speed_range
    assert limits is not None
    assert limits.min_speed_kmh == pytest.approx(0.6437376)
    assert limits.step_speed_kmh == pytest.approx(0.1609344)
    coarse = replace(fine, step_speed_kmh=0.8)
    assert machine_limits(Machine(speed_range=coarse), MPH_TARGETS).speed_range == coarse


MPH_TARGETS = Quirks(target_unit="mph")
