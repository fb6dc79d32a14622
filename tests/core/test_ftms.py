"""Treadmill Data, split records, features, ranges and training status, by the specification."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycycling import ftms_parsers as pycycling  # type: ignore[import-untyped]

from bridge.core import ftms, wire
from bridge.core.errors import DecodeError
from bridge.core.ftms import RECORD_LIFETIME_S, RecordJoiner, decode_treadmill_data
from bridge.core.messages import InclineRange, Reading, SpeedRange

# Every field there is, in the order of the specification (flags 0x1FFE, 34 octets with u8 pace).
FULL = Reading(
    speed_kmh=2.3,
    average_speed_kmh=1.75,
    distance_m=70_000,
    incline_pct=-1.5,
    ramp_angle_deg=0.9,
    elevation_gain_m=12.3,
    negative_elevation_gain_m=4.5,
    pace_min_per_km=2.5,
    average_pace_min_per_km=5.0,
    energy_kcal=321,
    energy_per_hour_kcal=210,
    energy_per_minute_kcal=3,
    heart_rate_bpm=101,
    met=3.3,
    elapsed_s=1800,
    remaining_s=600,
    force_n=-40,
    power_w=55,
)
FULL_OCTETS = bytes.fromhex(
    "fe1f e600 af00 701101 f1ff0900 7b002d00 04 02 4101d20003 65 21 0807 5802 d8ff3700"
)


def octets(text: str) -> bytes:
    """Hex with spaces between the fields."""
    return bytes.fromhex(text)


# --- Treadmill Data ------------------------------------------------------------------------------


def test_the_longest_legal_record() -> None:
    """All fields in one notification, each at its own offset with its own resolution."""
    assert decode_treadmill_data(FULL_OCTETS) == FULL
    assert ftms.encode_treadmill_data(FULL) == FULL_OCTETS


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("0000 e600", Reading(speed_kmh=2.3)),
        ("0200 e600 0100", Reading(speed_kmh=2.3, average_speed_kmh=0.01)),
        ("0400 0000 ffffff", Reading(speed_kmh=0.0, distance_m=16_777_215)),
        ("0800 0000 9cff ff7f", Reading(speed_kmh=0.0, incline_pct=-10.0)),
        ("0800 0000 ff7f 0080", Reading(speed_kmh=0.0, ramp_angle_deg=-3276.8)),
        # No "not available" is defined for elevation: what machines send is what is shown.
        (
            "1000 0000 ff7f ffff",
            Reading(speed_kmh=0.0, elevation_gain_m=3276.7, negative_elevation_gain_m=6553.5),
        ),
        ("8000 0000 ffff 0100 ff", Reading(speed_kmh=0.0, energy_per_hour_kcal=1)),
        ("8000 0000 0100 ffff 02", Reading(speed_kmh=0.0, energy_kcal=1, energy_per_minute_kcal=2)),
        ("0001 0000 00", Reading(speed_kmh=0.0, heart_rate_bpm=0)),
        ("0002 0000 37", Reading(speed_kmh=0.0, met=5.5)),
        ("0004 0000 ffff", Reading(speed_kmh=0.0, elapsed_s=65_535)),
        ("0008 0000 3c00", Reading(speed_kmh=0.0, remaining_s=60)),
        ("0010 0000 ff7f ecff", Reading(speed_kmh=0.0, power_w=-20)),
        ("0010 0000 0a00 ff7f", Reading(speed_kmh=0.0, force_n=10)),
    ],
)
def test_each_flag_brings_its_fields(frame: str, expected: Reading) -> None:
    """One flag at a time: place, sign, resolution and the "not available" values."""
    assert decode_treadmill_data(octets(frame)) == expected


def test_bit_0_is_inverted() -> None:
    """Set means no speed and more to come; the first field is then whatever comes first."""
    assert decode_treadmill_data(octets("0500 2a0000")) == Reading(more_data=True, distance_m=42)
    assert decode_treadmill_data(octets("0100")) == Reading(more_data=True)


@pytest.mark.parametrize(
    ("frame", "pace", "average", "steps"),
    [
        ("2000 6400 04", 2.5, None, None),
        ("2000 6400 2c01", 10.0, None, None),
        ("4000 6400 05", None, 2.0, None),
        ("4000 6400 2c01", None, 10.0, None),
        ("6000 6400 04 05", 2.5, 2.0, None),
        ("6000 6400 2c01 5802", 10.0, 20.0, None),
        ("2020 6400 04 0700", 2.5, None, 7),
        ("2020 6400 04 070000", 2.5, None, 7),
        ("2020 6400 2c01 070000", 10.0, None, 7),
        ("6020 6400 2c01 5802 0700", 10.0, 20.0, 7),
        ("6020 6400 2c01 5802 070000", 10.0, 20.0, 7),
        ("2000 6400 00", None, None, None),
        ("2000 6400 0000", None, None, None),
    ],
)
def test_the_length_tells_the_type_of_pace(
    frame: str, pace: float | None, average: float | None, steps: int | None
) -> None:
    """u8 (0.1 km/min) or u16 (seconds for 500 m), whichever fills the record; 0 is no pace."""
    assert decode_treadmill_data(octets(frame)) == Reading(
        speed_kmh=1.0, pace_min_per_km=pace, average_pace_min_per_km=average, steps=steps
    )


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        # u8 pace and u24 steps, or u16 pace and u16 steps: both fill it.
        ("2020 6400 0a 0b0000", Reading(speed_kmh=1.0, pace_min_per_km=1.0, steps=11)),
        # Neither fills it.
        (
            "2000 6400 0a 000000",
            Reading(speed_kmh=1.0, pace_min_per_km=1.0, warning="trailing"),
        ),
        (
            "2004 6400 0a 00",
            Reading(speed_kmh=1.0, pace_min_per_km=1.0, warning="truncated"),
        ),
    ],
)
def test_pace_is_u8_where_the_length_does_not_tell(frame: str, expected: Reading) -> None:
    """Both or neither layout fitting means the older type."""
    assert decode_treadmill_data(octets(frame)) == expected


def test_a_32_octet_record_with_u8_pace() -> None:
    """Flags 0x17FE, as Star Trac sends them, put elapsed time and power at the right places."""
    frame = octets("fe17 2c01 c800 640000 0a000000 05000000 05 03 0a00640002 50 1e 3c00 00004600")
    assert len(frame) == 32
    reading = decode_treadmill_data(frame)
    assert (reading.elapsed_s, reading.heart_rate_bpm, reading.power_w) == (60, 80, 70)
    assert reading.warning is None


@pytest.mark.parametrize(
    ("frame", "steps", "warning"),
    [
        ("0020 6400", None, "truncated"),
        ("0020 6400 07", None, "truncated"),
        ("0020 6400 0703", 0x0307, None),
        ("0020 6400 070301", 0x010307, None),
        ("0020 6400 07030100", 0x010307, "trailing"),
    ],
)
def test_bit_13_counts_steps_in_two_or_three_octets(
    frame: str, steps: int | None, warning: str | None
) -> None:
    """Vendors append 16 or 24 bits; fewer are nothing."""
    reading = decode_treadmill_data(octets(frame))
    assert (reading.speed_kmh, reading.steps, reading.warning) == (1.0, steps, warning)


def test_reserved_bits_and_what_they_bring_are_ignored() -> None:
    """Bits 14 and 15 change nothing that stands before them."""
    assert decode_treadmill_data(octets("04c0 6400 010000")) == Reading(speed_kmh=1.0, distance_m=1)
    longer = decode_treadmill_data(octets("04c0 6400 010000 aabb"))
    assert longer == Reading(speed_kmh=1.0, distance_m=1, warning="trailing")


@pytest.mark.parametrize("length", range(2, len(FULL_OCTETS)))
def test_a_cut_record_keeps_what_is_whole(length: int) -> None:
    """Every field is either exactly as in the whole record or absent; nothing is shifted."""
    cut = decode_treadmill_data(FULL_OCTETS[:length])
    assert cut.warning == "truncated"
    for name in ftms._VALUE_NAMES:
        assert getattr(cut, name) in (None, getattr(FULL, name))


@pytest.mark.parametrize("payload", [b"", b"\0"])
def test_without_flags_there_is_no_record(payload: bytes) -> None:
    """Empty and one-octet notifications are refused, not guessed at."""
    with pytest.raises(DecodeError, match="no flags"):
        decode_treadmill_data(payload)


@given(st.binary(max_size=64))
def test_any_octets_give_a_reading_or_a_decode_error(payload: bytes) -> None:
    """Noise never raises anything else, and every number is finite."""
    try:
        reading = decode_treadmill_data(payload)
    except DecodeError:
        assert len(payload) < 2
        return
    for name in ftms._VALUE_NAMES:
        value = getattr(reading, name)
        assert value is None or math.isfinite(value)
    assert reading == replace(reading)


@given(flags=st.integers(0, 0xFFFF), body=st.binary(max_size=60), extra=st.binary(max_size=3))
def test_octets_behind_a_record_change_no_field(flags: int, body: bytes, extra: bytes) -> None:
    """Without pace or steps the layout depends on the flags alone."""
    head = (flags & ~0x2060).to_bytes(2, "little")
    short, long = decode_treadmill_data(head + body), decode_treadmill_data(head + body + extra)
    for name in ftms._VALUE_NAMES:
        if getattr(short, name) is not None:
            assert getattr(long, name) == getattr(short, name)


HUNDREDTHS = st.integers(0, 0xFFFF).map(lambda raw: raw / 100)
TENTHS = st.integers(0, 0xFFFF).map(lambda raw: raw / 10)
SIGNED = st.integers(-0x8000, 0x7FFE)
SIGNED_TENTHS = SIGNED.map(lambda raw: raw / 10)
PACE = st.integers(1, 0xFF).map(lambda raw: 10 / raw)
U16 = st.integers(0, 0xFFFF)
U24 = st.integers(0, 0xFFFFFF)


def maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """A value or its absence."""
    return st.none() | values


READINGS = st.builds(
    Reading,
    speed_kmh=HUNDREDTHS,
    average_speed_kmh=maybe(HUNDREDTHS),
    distance_m=maybe(U24),
    incline_pct=maybe(SIGNED_TENTHS),
    ramp_angle_deg=maybe(SIGNED_TENTHS),
    pace_min_per_km=maybe(PACE),
    average_pace_min_per_km=maybe(PACE),
    energy_kcal=maybe(st.integers(0, 0xFFFE)),
    energy_per_hour_kcal=maybe(st.integers(0, 0xFFFE)),
    energy_per_minute_kcal=maybe(st.integers(0, 0xFE)),
    heart_rate_bpm=maybe(st.integers(0, 0xFF)),
    met=maybe(st.integers(0, 0xFF).map(lambda raw: raw / 10)),
    elapsed_s=maybe(U16),
    remaining_s=maybe(U16),
    force_n=maybe(SIGNED),
    power_w=maybe(SIGNED),
    steps=maybe(U24),
)


@given(READINGS, TENTHS, TENTHS)
def test_a_record_survives_the_way_to_octets_and_back(
    reading: Reading, gain_m: float, loss_m: float
) -> None:
    """Decode is the inverse of encode for every value a field can hold."""
    assert decode_treadmill_data(ftms.encode_treadmill_data(reading)) == reading
    climbing = replace(reading, elevation_gain_m=gain_m, negative_elevation_gain_m=loss_m)
    assert decode_treadmill_data(ftms.encode_treadmill_data(climbing)) == climbing


@given(READINGS, st.integers(7, 40))
def test_a_split_record_is_joined_again(reading: Reading, limit: int) -> None:
    """Whatever the packet size, the joiner gives back exactly the record that was split."""
    joiner = RecordJoiner()
    joiner.push(Reading(speed_kmh=9.9), 0.0)
    parts = ftms.split_treadmill_data(reading, limit)
    assert all(len(part) <= limit for part in parts)
    *early, final = [joiner.push(decode_treadmill_data(part), 0.0) for part in parts]
    assert early == [None] * len(early)
    assert final == reading


def test_the_default_packet_splits_the_longest_record_in_two() -> None:
    """20 octets (ATT_MTU 23): more-data first, speed last."""
    parts = ftms.split_treadmill_data(FULL, 20)
    assert [part[0] & 1 for part in parts] == [1, 0]
    assert max(map(len, parts)) <= 20


def test_a_packet_too_small_for_one_flag_is_refused() -> None:
    """Energy takes five octets and two for the flags."""
    with pytest.raises(ValueError, match="flag 7"):
        ftms.split_treadmill_data(FULL, 6)


@pytest.mark.parametrize("reading", [Reading(more_data=True, speed_kmh=1.0), Reading(distance_m=1)])
def test_more_data_and_speed_are_one_bit(reading: Reading) -> None:
    """What the format cannot say is refused, not sent as something else."""
    with pytest.raises(ValueError, match="more_data"):
        ftms.encode_treadmill_data(reading)
    with pytest.raises(ValueError, match="more data"):
        ftms.split_treadmill_data(reading, 20)


def test_a_lone_member_of_a_group_takes_its_partner_along() -> None:
    """Incline alone sends the ramp angle as "not available"; elevation has no such value."""
    frame = ftms.encode_treadmill_data(Reading(speed_kmh=1.0, incline_pct=2.0))
    assert frame == octets("0800 6400 1400 ff7f")
    frame = ftms.encode_treadmill_data(Reading(speed_kmh=1.0, elevation_gain_m=2.0))
    assert frame == octets("1000 6400 1400 0000")


@pytest.mark.parametrize("pace", [0.0, -1.0, math.nan])
def test_no_pace_is_not_encoded_as_one(pace: float) -> None:
    """A pace must be above zero to have an inverse."""
    with pytest.raises(ValueError, match="pace"):
        ftms.encode_treadmill_data(Reading(speed_kmh=1.0, pace_min_per_km=pace))


def test_wide_pace_fields_write_what_they_read() -> None:
    """The second layout of pace is a whole field too: 300 s for 500 m are 10 min/km."""
    field = ftms._WIDE_PACE[5]
    assert wire.write(field, {"pace_min_per_km": 10.0}) == octets("2c01")
    assert wire.write(field, {}) == octets("0000")


def test_an_absent_pace_is_written_as_none() -> None:
    """0 in the narrow layout reads as no pace."""
    assert wire.write(ftms._GROUPS[5], {}) == b"\0"


# --- split records -------------------------------------------------------------------------------

PART = Reading(more_data=True, distance_m=5, elapsed_s=9)
REST = Reading(speed_kmh=1.2, energy_kcal=3)
WHOLE = Reading(speed_kmh=1.2, energy_kcal=3, distance_m=5, elapsed_s=9)
VENDOR = Reading(more_data=True, steps=7)


def test_a_whole_record_passes_through_at_once() -> None:
    """No copy, no delay."""
    joiner = RecordJoiner()
    assert joiner.push(WHOLE, 0.0) is WHOLE
    assert joiner.last is WHOLE


def test_fragments_become_one_record() -> None:
    """Order between fragments is free; the one with speed closes the record."""
    joiner = RecordJoiner()
    assert joiner.push(PART, 0.0) is None
    assert joiner.push(Reading(more_data=True, heart_rate_bpm=80), 0.01) is None
    assert joiner.push(REST, 0.02) == replace(WHOLE, heart_rate_bpm=80)
    assert joiner.push(REST, 1.0) == REST


def test_vendor_data_inside_a_split_record_belongs_to_it() -> None:
    """While a record is open a fragment of steps alone is part of it."""
    joiner = RecordJoiner()
    joiner.push(WHOLE, 0.0)
    joiner.push(PART, 1.0)
    assert joiner.push(VENDOR, 1.01) is None
    assert joiner.push(REST, 1.02) == replace(WHOLE, steps=7)


def test_late_vendor_data_belongs_to_the_record_before() -> None:
    """FitShow sends record, then steps: nothing is emitted, delayed, or merged forward."""
    joiner = RecordJoiner()
    assert joiner.push(REST, 0.0) is REST
    assert joiner.push(VENDOR, 0.048) is None
    assert joiner.last == replace(REST, steps=7)
    assert joiner.push(WHOLE, 1.0) is WHOLE
    assert joiner.push(replace(VENDOR, steps=8), 1.001) is None
    assert joiner.last == replace(WHOLE, steps=8)


def test_vendor_data_far_from_any_record_is_dropped() -> None:
    """With no record before it, or one too old, there is nothing it could belong to."""
    joiner = RecordJoiner()
    assert joiner.push(VENDOR, 0.0) is None
    assert joiner.last is None
    joiner.push(REST, 1.0)
    joiner.push(VENDOR, 1.0 + RECORD_LIFETIME_S + 0.01)
    assert joiner.last is REST


def test_a_field_that_comes_again_starts_a_new_record() -> None:
    """The older fragment lost its end; its values are not mixed with newer ones."""
    joiner = RecordJoiner()
    joiner.push(PART, 0.0)
    joiner.push(Reading(more_data=True, distance_m=6), 0.5)
    assert joiner.push(REST, 0.51) == replace(REST, distance_m=6)


def test_a_closing_fragment_that_repeats_a_field_stands_alone() -> None:
    """It belongs to another record than the one that is open."""
    joiner = RecordJoiner()
    joiner.push(PART, 0.0)
    whole = Reading(speed_kmh=1.0, distance_m=7)
    assert joiner.push(whole, 0.5) is whole
    assert joiner.push(REST, 0.6) is REST


@pytest.mark.parametrize(("age_s", "joined"), [(RECORD_LIFETIME_S, True), (2.01, False)])
def test_an_open_record_has_a_time_limit(age_s: float, joined: bool) -> None:
    """At the limit it is still joined, after it the rest stands alone."""
    joiner = RecordJoiner()
    joiner.push(PART, 10.0)
    assert joiner.push(REST, 10.0 + age_s) == (WHOLE if joined else REST)


def test_the_time_limit_counts_from_the_first_fragment() -> None:
    """Later fragments do not keep a record open for ever."""
    joiner = RecordJoiner()
    joiner.push(PART, 0.0)
    joiner.push(Reading(more_data=True, heart_rate_bpm=80), 1.9)
    assert joiner.push(REST, 2.1) == REST


def test_a_lost_link_ends_the_record() -> None:
    """After a reconnect nothing from before is completed or attached to."""
    joiner = RecordJoiner()
    joiner.push(WHOLE, 0.0)
    joiner.push(PART, 0.1)
    joiner.drop()
    assert joiner.last is None
    assert joiner.push(VENDOR, 0.2) is None
    assert joiner.push(REST, 0.3) is REST


def test_a_warning_in_any_fragment_stays_with_the_record() -> None:
    """And never counts as a field that came again."""
    joiner = RecordJoiner()
    joiner.push(replace(PART, warning="trailing"), 0.0)
    assert joiner.push(replace(REST, warning="trailing"), 0.1) == replace(WHOLE, warning="trailing")


@given(st.lists(st.tuples(st.binary(min_size=2, max_size=24), st.floats(0, 3)), max_size=20))
def test_the_joiner_emits_for_every_closing_notification_and_no_other(
    notifications: list[tuple[bytes, float]],
) -> None:
    """Each notification with bit 0 clear gives one reading at once, with its own speed."""
    joiner, now_s = RecordJoiner(), 0.0
    for payload, pause_s in notifications:
        now_s += pause_s
        reading = decode_treadmill_data(payload)
        whole = joiner.push(reading, now_s)
        assert (whole is None) == reading.more_data
        if whole is not None:
            assert whole.speed_kmh == reading.speed_kmh
            assert not whole.more_data


# --- features ------------------------------------------------------------------------------------


def test_feature_bits_have_their_names() -> None:
    """Average speed, incline and elapsed time; speed and incline as targets."""
    assert ftms.read_features(octets("09100000 03000000")) == {
        "features": ["average_speed", "incline", "elapsed_time"],
        "targets": ["speed", "incline"],
    }


def test_reserved_feature_bits_are_ignored() -> None:
    """Bits 17 to 31 of both halves."""
    values = ftms.read_features(octets("0000feff 0000feff"))
    assert values == {"features": [], "targets": []}


@pytest.mark.parametrize(
    ("frame", "features", "targets", "warning"),
    [
        ("01", ["average_speed"], [], "truncated"),
        ("01000100", ["average_speed", "user_data_retention"], [], "truncated"),
        ("01000000 01", ["average_speed"], ["speed"], "truncated"),
        ("01000000 01000000 ff", ["average_speed"], ["speed"], "trailing"),
    ],
)
def test_feature_frames_of_other_lengths(
    frame: str, features: list[str], targets: list[str], warning: str
) -> None:
    """What is missing counts as 0, what is too much is ignored."""
    assert ftms.read_features(octets(frame)) == {
        "features": features,
        "targets": targets,
        "warning": warning,
    }


def test_no_features_at_all() -> None:
    """An empty value is an error, not a machine without features."""
    with pytest.raises(DecodeError, match="empty"):
        ftms.read_features(b"")


@given(st.sets(st.sampled_from(ftms.FEATURES)), st.sets(st.sampled_from(ftms.TARGETS)))
def test_features_survive_and_pycycling_reads_them_alike(
    features: set[str], targets: set[str]
) -> None:
    """Our encoder against our decoder, and bit by bit against another implementation."""
    payload = ftms.encode_features(features, targets)
    values = ftms.read_features(payload)
    assert (set(values["features"]), set(values["targets"])) == (features, targets)
    theirs = pycycling.parse_all_features(bytearray(payload))
    assert [bool(flag) for flag in theirs[0]] == [name in features for name in ftms.FEATURES]
    assert [bool(flag) for flag in theirs[1]] == [name in targets for name in ftms.TARGETS]


def test_an_unknown_feature_is_refused() -> None:
    """A simulator with a typing error does not advertise something else."""
    with pytest.raises(ValueError, match="tuple"):
        ftms.encode_features(["warp"], [])


# --- ranges --------------------------------------------------------------------------------------


def test_ranges_have_their_units() -> None:
    """Each characteristic with a value that only its own resolution gives."""
    assert ftms.read_speed_range(octets("3200 6202 0a00")) == {
        "min_speed_kmh": 0.5,
        "max_speed_kmh": 6.1,
        "step_speed_kmh": 0.1,
    }
    assert ftms.read_incline_range(octets("ceff 9600 0500")) == {
        "min_incline_pct": -5.0,
        "max_incline_pct": 15.0,
        "step_incline_pct": 0.5,
    }
    assert ftms.read_heart_rate_range(octets("32 c8 01")) == {
        "min_heart_rate_bpm": 50,
        "max_heart_rate_bpm": 200,
        "step_heart_rate_bpm": 1,
    }
    assert ftms.read_power_range(octets("f6ff 9001 0500")) == {
        "min_power_w": -10,
        "max_power_w": 400,
        "step_power_w": 5,
    }


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("0000 ff00 0100", (0.0, 25.5, 0.1)),
        ("00 19 01", (0.0, 250.0, 10.0)),
    ],
)
def test_the_length_tells_the_resistance_layout(
    frame: str, expected: tuple[float, float, float]
) -> None:
    """Six octets in tenths, three in tens."""
    assert tuple(ftms.read_resistance_range(octets(frame)).values()) == expected


def test_a_cut_range_shows_what_is_whole() -> None:
    """For people; the bridge refuses it below."""
    values = ftms.read_speed_range(octets("3200 62"))
    assert values == {"min_speed_kmh": 0.5, "warning": "truncated"}


def test_ranges_survive_the_way_to_octets_and_back() -> None:
    """Typed both ways, at real values."""
    speed = SpeedRange(min_speed_kmh=0.96, max_speed_kmh=6.43, step_speed_kmh=0.32)
    assert ftms.encode_speed_range(speed) == octets("6000 8302 2000")
    assert ftms.decode_speed_range(ftms.encode_speed_range(speed)) == speed
    incline = InclineRange(min_incline_pct=-3.0, max_incline_pct=15.0, step_incline_pct=0.5)
    assert ftms.encode_incline_range(incline) == octets("e2ff 9600 0500")
    assert ftms.decode_incline_range(ftms.encode_incline_range(incline)) == incline


def test_octets_behind_a_range_are_ignored() -> None:
    """Trailing octets do not make a range unusable."""
    assert ftms.decode_speed_range(octets("3200 6202 0a00 00")).max_speed_kmh == 6.1


@pytest.mark.parametrize("frame", ["", "3200", "3200 6202 0a", "6202 3200 0a00"])
def test_a_range_that_cannot_be_used_is_refused(frame: str) -> None:
    """Cut short or with its ends swapped: no limit is better known than a wrong one."""
    with pytest.raises(DecodeError, match="range"):
        ftms.decode_speed_range(octets(frame))
    with pytest.raises(DecodeError, match="range"):
        ftms.decode_incline_range(octets(frame))


# --- training status -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("00 01", {"training_status_code": 1, "training_status": "idle"}),
        ("01 0f", {"training_status_code": 15, "training_status": "post_workout"}),
        ("00 10", {"training_status_code": 16}),
        ("fc ff", {"training_status_code": 255}),
        (
            "01 02 57c3a47200",
            {"training_status_code": 2, "training_status": "warming_up", "text": "Wär"},
        ),
        (
            "02 02 57",
            {"training_status_code": 2, "training_status": "warming_up", "text": "W"},
        ),
        (
            "00 00 57",
            {"training_status_code": 0, "training_status": "other", "warning": "trailing"},
        ),
    ],
)
def test_training_status(frame: str, expected: dict[str, object]) -> None:
    """Names, reserved codes, strings with and without, and flags that promise none."""
    assert ftms.read_training_status(octets(frame)) == expected


@pytest.mark.parametrize("payload", [b"", b"\x01"])
def test_training_status_needs_a_code(payload: bytes) -> None:
    """Flags alone say nothing."""
    with pytest.raises(DecodeError, match="no code"):
        ftms.read_training_status(payload)


def test_training_status_survives_the_way_to_octets_and_back() -> None:
    """With and without a string."""
    assert ftms.encode_training_status(13) == octets("00 0d")
    assert ftms.read_training_status(ftms.encode_training_status(11, "Bremsen")) == {
        "training_status_code": 11,
        "training_status": "cool_down",
        "text": "Bremsen",
    }


@given(st.binary(max_size=16))
def test_the_other_readers_take_noise(payload: bytes) -> None:
    """Values or a `DecodeError`, for any octets."""
    for read in (
        ftms.read_features,
        ftms.read_speed_range,
        ftms.read_incline_range,
        ftms.read_resistance_range,
        ftms.read_heart_rate_range,
        ftms.read_power_range,
        ftms.read_training_status,
    ):
        try:
            assert read(payload)
        except DecodeError:
            assert len(payload) < 2
