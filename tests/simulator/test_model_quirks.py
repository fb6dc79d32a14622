"""The machine's side of every kind of departure, met by a client that knows plain FTMS only.

Which model stands for which departure is the test's choice; the profile files say the rest. Row
numbers are those of the profiles' sources, as far as they have one.
"""

from dataclasses import replace
from itertools import pairwise

import pytest

from bridge.core.ftms import read_training_status
from bridge.core.quirks import KMH_PER_MPH
from bridge.device_profile import load_device
from bridge.device_simulation import SimulatorEntry
from bridge.simulator import database
from bridge.simulator.belt import Motion
from bridge.simulator.ftms_server import (
    CONTROL_POINT,
    INCLINE_RANGE,
    MACHINE_STATUS,
    SPEED_RANGE,
    TRAINING_STATUS,
    TREADMILL_DATA,
)
from bridge.simulator.habits import Habits
from bridge.simulator.model import STANDARD, Model, find_model, model_of
from bridge.simulator.telemetry import SPURIOUS_EVERY
from tests.simulator.central import CONTROL, PAUSE, START, STOP, Central, set_incline, set_speed


def plain(model: str) -> Central:
    """A client that knows nothing of the model."""
    return Central(model, apt=False)


def with_habits(**changes: object) -> Model:
    """The standard model with these habits."""
    return replace(STANDARD, habits=replace(Habits(), **changes))  # type: ignore[arg-type]


# --- units and codes -----------------------------------------------------------------------------


@pytest.mark.parametrize("ident", ["jftm-t202", "bowflex-t9", "vitalwalk-tm11gy", "therun-t15"])
def test_mph_targets(ident: str) -> None:
    """02 64 00 runs 1.609 km/h, and the status says 1.00 again."""
    central = Central(ident).moving()
    central.write(set_speed(100))
    central.wait(10)
    assert central.kmh == pytest.approx(KMH_PER_MPH)
    assert central.statuses()[-1].target_speed_kmh == 1.0


def test_mph_reports_and_ranges() -> None:
    """FS-BT-T4 says 0.6 to 3.8 by 0.1, and 0.60 for its slowest; JFTM T202 reports km/h."""
    central = Central("fs-bt-t4").moving()
    assert central.server.read(SPEED_RANGE).hex() == "3c007c010a00"
    assert central.raw_readings()[-1].speed_kmh == 0.6
    assert Central("jftm-t202").moving().raw_readings()[-1].speed_kmh == 0.48


def test_a_console_set_to_kilometres_counts_them() -> None:
    """Models whose console decides stand at miles, as that is the case that goes wrong."""
    assert SimulatorEntry().console_unit == "mph"
    assert Central("tm4800").model.habits.targets_in_mph
    assert not Central("tm4800").model.habits.reports_in_mph
    assert Central("therun-t15").model.habits.reports_in_mph
    metric = model_of(load_device("therun-t15"), SimulatorEntry(console_unit="kmh"))
    central = Central(metric).moving()
    central.write(set_speed(200))
    assert central.wait(10).kmh == 2.0
    assert central.raw_readings()[-1].speed_kmh == 2.0


def test_incline_codes() -> None:
    """Kettler: 3 % in plain FTMS goes to 2; T01_ reports codes, BH 62.5 to the percent."""
    kettler = Central("kettler").moving()
    kettler.write(set_incline(30))
    assert kettler.wait(10).server.belt.incline_pct == 2.0
    assert kettler.raw_readings()[-1].incline_pct == 2.0
    assert kettler.statuses()[-1].target_incline_pct == 3.0, "told in its code for 2 %"
    t01 = Central("iconcept-t01").moving()
    t01.write(set_incline(0x82))
    assert t01.wait(10).raw_readings()[-1].incline_pct == 13.0
    bh = Central("bh-fitness").moving()
    bh.write(set_incline(20))
    assert bh.wait(10).raw_readings()[-1].incline_pct == 12.5


def test_incline_is_never_told() -> None:
    """Accepted and moved, and no record ever says so; Tunturi says anything but the truth."""
    echo = Central("mobvoi-tm").moving()
    echo.set_incline(3.0)
    assert echo.wait(10).server.belt.incline_pct == 3.0
    assert {each.incline_pct for each in echo.raw_readings()} == {None}
    tunturi = Central("tunturi-t60-t90").moving()
    assert all((each.incline_pct or 0) >= 0 for each in tunturi.raw_readings())
    assert tunturi.raw_readings()[-1].incline_pct != tunturi.server.belt.incline_pct


def test_steps_and_limits_of_the_body() -> None:
    """Sole F85 refuses half a percent and goes down to -5; Mobvoi TMP refuses less than 1 km/h."""
    sole = Central("sole-f85").moving()
    assert [sole.ask(set_incline(raw)) for raw in (25, 20, -50, -60)] == [3, 1, 1, 3]
    assert sole.ask(set_speed(105)) == 3
    assert sole.server.read(INCLINE_RANGE).hex() == "000078000500"
    mobvoi = Central("mobvoi-tmp").moving()
    assert [mobvoi.ask(set_speed(raw)) for raw in (99, 100)] == [3, 1]
    assert mobvoi.server.read(SPEED_RANGE).hex() == "3200b0040a00"


# --- starting ------------------------------------------------------------------------------------


def test_start_while_running() -> None:
    """TM11GY pauses, ANPLUS goes back to its slowest; the standard one says 04."""
    for ident, motion, kmh in (
        ("vitalwalk-tm11gy", Motion.PAUSED, 0.0),
        ("anplus", Motion.RUNNING, 0.5),
        ("standard", Motion.RUNNING, 2.0),
    ):
        central = Central(ident).moving()
        central.set_speed(2.0)
        central.wait(10)
        central.write(START)
        central.wait(10)
        assert (central.server.belt.motion, central.kmh) == (motion, kmh), ident


def test_another_opcode_starts() -> None:
    """CITYSPORTS: 0x00 starts, 0x07 is not known, nobody needs to ask for control."""
    central = plain("citysports-linker")
    assert central.ask(START) == 2
    assert central.ask(CONTROL) == 1
    assert central.wait(10).kmh == 0.5
    assert central.ask(set_speed(100)) == 1


def test_start_is_only_asked_for() -> None:
    """TP1: START tells 02 01 and nothing moves before 00 and 07."""
    central = plain("tp1")
    central.server.press_start(central.now_s)
    central.wait(5)
    assert central.payloads(MACHINE_STATUS) == [b"\x02\x01"]
    assert central.kmh == 0
    assert [central.ask(CONTROL), central.ask(START)] == [1, 1]
    assert central.wait(5).kmh == 0.5
    assert central.statuses()[-1].opcode == 4
    central.server.press_start(central.now_s)
    assert len(central.wait(2).payloads(MACHINE_STATUS)) == 2, "running: nothing to ask for"


def test_two_requests_for_control_half_a_second_apart() -> None:
    """WELLFIT: one, or two at once, is not enough, though each is answered with success."""
    central = plain("wellfit-tm")
    assert [central.ask(CONTROL), central.ask(CONTROL), central.ask(STOP)] == [1, 1, 5]
    central.wait(0.5)
    assert [central.ask(CONTROL), central.ask(STOP)] == [1, 4]


def test_targets_too_soon_after_a_start() -> None:
    """X21: 05 for 2.5 s; 3G Pro: 04 before motion; MC21 drops the link."""
    x21 = Central("kingsmith-x21").take_control()
    x21.server.press_start(x21.now_s)
    assert x21.ask(set_speed(100)) == 5
    assert x21.wait(2.5).ask(set_speed(100)) == 1
    slow = Central("3g-pro").take_control()
    slow.server.press_start(slow.now_s)
    assert slow.ask(set_speed(100)) == 4
    assert slow.wait(3).ask(set_speed(100)) == 1
    mc21 = Central("kingsmith-mc21").take_control()
    mc21.server.press_start(mc21.now_s)
    mc21.write(set_speed(100))
    mc21.wait(0.1)
    assert not mc21.server.connected


def test_a_start_by_a_client_does_not_last() -> None:
    """Focus Jet 7 stops right after it; a start at the console lasts."""
    central = plain("focus-jet-7")
    assert [central.ask(CONTROL), central.ask(START)] == [1, 1]
    assert central.wait(10).server.belt.motion is Motion.REST
    assert Central("focus-jet-7").moving().wait(30).kmh == 0.5


# --- pause, ignored requests, fading --------------------------------------------------------------


def test_what_pause_means() -> None:
    """Hometro: stop, and the counters go to zero at rest; elsewhere nothing happens."""
    hometro = Central("hometro-fs-bt-d2").moving()
    assert hometro.ask(PAUSE) == 1
    assert hometro.wait(5).server.belt.motion is Motion.REST
    assert hometro.raw_readings()[-1].distance_m == 0
    deaf = Central(with_habits(pause_means="ignored")).moving()
    assert deaf.ask(PAUSE) == 1
    assert deaf.wait(5).kmh == 0.5
    assert deaf.ask(STOP) == 1
    assert deaf.wait(5).kmh == 0


def test_ignored_requests_are_acknowledged() -> None:
    """Xterra: speed; Reebok: start; UREVO: incline; Yesoul W2 says 04 to incline."""
    xterra = Central("xterra-t85").moving()
    assert xterra.ask(set_speed(300)) == 1
    assert xterra.wait(10).kmh == 0.5
    reebok = Central("reebok-fr30z").take_control()
    assert reebok.ask(START) == 1
    assert reebok.wait(10).kmh == 0
    for ident, result in (("urevo-urtm030", 1), ("yesoul-w2-pro", 4)):
        central = Central(ident).moving()
        assert central.ask(set_incline(20)) == result
        assert central.wait(10).server.belt.incline_pct == 0


def test_a_target_fades() -> None:
    """T600x: after 3 s without another one the belt goes back; repeated it stays."""
    central = Central("matrix-t600x").moving()
    central.set_speed(2.0)
    central.wait(2.9)
    assert central.server.belt.target_speed_kmh == 2.0
    central.set_speed(2.0)
    central.wait(2.9)
    assert central.server.belt.target_speed_kmh == 2.0
    central.wait(0.2)
    assert central.server.belt.target_speed_kmh == 0.5


# --- answers -------------------------------------------------------------------------------------


def test_answers_come_as_notifications() -> None:
    """BH takes commands and notifies; UREVO claims indications, notifies, and says it twice."""
    bh = Central("bh-fitness").take_control()
    assert bh.kinds(CONTROL_POINT) == {"notify"}
    assert bh.model.habits.control_writes == "without-response"
    assert bh.model.habits.control_tells == "notify"
    urevo = Central("urevo-e1l")
    assert urevo.write(CONTROL) == [b"\x80\x00\x01"] * 2
    assert urevo.kinds(CONTROL_POINT) == {"notify"}
    assert urevo.model.habits.control_tells == "indicate"


def test_answers_come_as_status_events() -> None:
    """MC21: 04 to the first request for control, silence to later ones and to success."""
    central = Central("kingsmith-mc21")
    assert central.write(CONTROL) == [b"\x80\x00\x04"]
    assert central.write(CONTROL) == []
    central.server.press_start(central.now_s)
    central.wait(5)
    assert central.write(set_speed(200)) == []
    assert central.statuses()[-1].target_speed_kmh == 2.0
    assert central.write(set_speed(9999)) == [b"\x80\x02\x03"], "failures are told"


def test_no_answer_at_all() -> None:
    """Only the belt shows that it was obeyed."""
    habits: dict[str, object] = {"acknowledges": "none", "tells_own_changes": False}
    central = Central(with_habits(**habits)).moving()
    since_s = central.now_s
    assert central.write(set_speed(200)) == []
    central.wait(10)
    assert central.kmh == 2.0
    assert central.payloads(MACHINE_STATUS, since_s) == []


def test_results_that_mean_nothing() -> None:
    """TM11GY says success to what it cannot do; FR30z says 01 and 04 in turn to a stop."""
    assert Central("vitalwalk-tm11gy").ask(STOP) == 1
    reebok = Central("reebok-fr30z").moving()
    assert [reebok.ask(STOP) for _ in range(3)] == [1, 4, 1]
    assert reebok.wait(5).kmh == 0


# --- the link ------------------------------------------------------------------------------------


def test_writes_that_come_too_soon_are_dropped() -> None:
    """Z1: within 400 ms nothing is answered or done; the journal keeps it."""
    central = Central("kingsmith-z1").moving()
    server = central.server
    assert server.control_write(set_speed(300), central.now_s) is None
    central.wait(0.3)
    assert server.control_write(set_speed(200), central.now_s) is None
    central.wait(0.4)
    assert central.server.journal[-1].result is None
    assert server.belt.target_speed_kmh == 3.0
    assert central.ask(set_speed(200)) == 1


def test_subscriptions_that_come_too_soon_are_dropped() -> None:
    """MC21: only the first of four at once is heard; the control point then refuses (0xFD)."""
    central = plain("kingsmith-mc21")
    asked = [
        central.server.subscribe(uuid16, central.now_s)
        for uuid16 in (TREADMILL_DATA, MACHINE_STATUS, CONTROL_POINT)
    ]
    assert asked == [True, False, False]
    assert central.server.control_write(CONTROL, central.now_s) == 0xFD
    central.wait(3)
    central.server.press_start(central.now_s)
    central.wait(3)
    assert {uuid16 for _, uuid16, _, _ in central.inbox} == {TREADMILL_DATA, TRAINING_STATUS}


def test_a_preamble_at_connect() -> None:
    """Z1 is silent and refuses until it is written, on each link anew; other octets do nothing."""
    central = plain("kingsmith-z1")
    unlocking = central.quirks.preamble[0]
    central.server.vendor_write(unlocking.characteristic, b"\x00", central.now_s)
    central.server.vendor_write("fff1", unlocking.payload, central.now_s)
    assert central.wait(5).inbox == []
    assert central.server.control_write(CONTROL, central.now_s) is None
    assert not central.server.controlled
    central.unlock("connect")
    assert central.wait(2).raw_readings() != []
    assert central.ask(CONTROL) == 1
    central.server.disconnect(central.now_s)
    central.inbox.clear()
    central.link()
    assert central.wait(5).inbox == []


def test_a_preamble_before_each_write() -> None:
    """MC21: 05 without, and one preamble serves one write."""
    central = plain("kingsmith-mc21")
    assert central.ask(CONTROL) == 5
    central.unlock("each-write")
    assert [central.ask(CONTROL), central.ask(STOP)] == [4, 5]


# --- records -------------------------------------------------------------------------------------


def test_steps_come_apart_and_late() -> None:
    """FS-D9D0A1: a whole record, then 01 20 00 00 00 within 48 ms; the record stays whole."""
    central = Central("fitshow-fs-d9d0a1").moving().wait(0.1)
    frames = [(at_s, raw) for at_s, uuid16, raw, _ in central.inbox if uuid16 == TREADMILL_DATA]
    (first_s, first), (second_s, second) = frames[-2:]
    assert second == bytes.fromhex("0120000000")
    assert first[0] & 1 == 0
    assert 0 < second_s - first_s < 0.051
    assert central.readings()[-1].speed_kmh == 1.0


def test_shapes_of_records() -> None:
    """Star Trac 32 octets, Z1 11, Matrix cut at 20, Technogym in two, BH one too many."""
    lengths = {
        ident: [len(raw) for raw in Central(ident).moving().payloads(TREADMILL_DATA)][-1]
        for ident in ("star-trac", "kingsmith-z1", "matrix-touch", "bh-fitness")
    }
    assert lengths == {
        "star-trac": 32,
        "kingsmith-z1": 11,
        "matrix-touch": 20,
        "bh-fitness": 19,
    }
    assert Central("star-trac").moving().payloads(TREADMILL_DATA)[-1][:2].hex() == "fe17"
    assert Central("matrix-touch").moving().payloads(TREADMILL_DATA)[-1][:2].hex() == "9e1b"
    assert [each.more_data for each in Central("technogym-run").moving().raw_readings()[-2:]] == [
        True,
        False,
    ]
    assert Central("kingsmith-x21").moving().raw_readings()[-1].more_data


def test_fields_that_mean_nothing() -> None:
    """BH counts nothing, Life Fitness knows no elevation, MET in whole units on a Matrix."""
    bh = Central("bh-fitness").moving().raw_readings()[-1]
    assert (bh.distance_m, bh.elapsed_s, bh.energy_kcal, bh.energy_per_hour_kcal) == (0, 0, 0, 0)
    life = Central("life-fitness").moving().raw_readings()[-1]
    assert (life.elevation_gain_m, life.negative_elevation_gain_m) == (3276.7, 3276.7)
    matrix = Central("matrix-t600x").moving()
    assert matrix.raw_readings()[-1].met == pytest.approx(0.1, abs=0.05)
    assert matrix.readings()[-1].met == pytest.approx(1.2, abs=0.3)


def test_silence_at_rest() -> None:
    """T318: no record once it stands, nor before it runs; FR30z says nothing while it stops."""
    central = Central("t318")
    assert central.wait(5).raw_readings() == []
    central.moving()
    central.ask(STOP)
    central.wait(5)
    assert (central.raw_readings()[-1].speed_kmh or 0) > 0
    since_s = central.now_s
    assert central.wait(5).raw_readings(since_s) == []
    late = Central(with_habits(rest_silence_s=8.0)).moving()
    late.ask(STOP)
    since_s = late.now_s
    assert late.wait(7).raw_readings(since_s) == []
    assert {each.speed_kmh for each in late.wait(4).raw_readings(since_s)} == {0.0}


def test_zeros_now_and_then() -> None:
    """Merach: single records of speed 0 while the belt runs."""
    speeds = [each.speed_kmh for each in Central("merach").moving().wait(60).raw_readings()[5:]]
    zeros = [at for at, kmh in enumerate(speeds) if kmh == 0]
    assert [later - sooner for sooner, later in pairwise(zeros)] == (
        [SPURIOUS_EVERY] * (len(zeros) - 1)
    )
    assert len(zeros) >= 3


def test_the_speed_of_before_while_paused() -> None:
    """Paragon X: paused, it still reports 2 km/h; stopped, it does not."""
    central = Central("paragon-x").moving()
    central.ask(set_speed(200))
    central.wait(10)
    central.ask(PAUSE)
    central.wait(10)
    assert central.kmh == 0
    assert central.raw_readings()[-1].speed_kmh == 2.0
    central.ask(STOP)
    assert central.wait(3).raw_readings()[-1].speed_kmh == 0


def test_elapsed_time_stands_still_without_a_walker() -> None:
    """Mobvoi TMP: the belt runs on, the time does not."""
    central = Central("mobvoi-tmp").moving()
    central.server.step_off(central.now_s)
    frozen = central.wait(1).raw_readings()[-1].elapsed_s
    assert central.wait(10).raw_readings()[-1].elapsed_s == frozen
    assert central.kmh == 1.0
    central.server.step_on(central.now_s)
    assert (central.wait(5).raw_readings()[-1].elapsed_s or 0) > (frozen or 0)


# --- status, shape, advertisement ----------------------------------------------------------------


def test_status_events_of_their_own_kind() -> None:
    """UREVO streams the speed that is, two octets too long; MC21 tells its last event again."""
    urevo = Central("urevo-e1l").moving()
    since_s = urevo.now_s
    urevo.write(set_speed(304))
    urevo.wait(2)
    told = urevo.payloads(MACHINE_STATUS, since_s)
    assert {len(raw) for raw in told} == {5}
    speeds = [status.target_speed_kmh or 0 for status in urevo.statuses(since_s)]
    assert speeds == sorted(speeds)
    assert speeds[0] < 3.0
    mc21 = Central("kingsmith-mc21")
    assert [raw.hex() for raw in mc21.payloads(MACHINE_STATUS)] == ["0201"]


def test_training_statuses_of_their_own() -> None:
    """UREVO: 10 ramping down, 11 standing; FR30z: 00 always; 01 0D without the text promised."""
    urevo = Central("urevo-e1l").moving()
    urevo.write(STOP)
    urevo.wait(5)
    codes = [
        read_training_status(raw)["training_status_code"] for raw in urevo.payloads(TRAINING_STATUS)
    ]
    assert codes == [0x0D, 0x10, 0x11]
    assert Central("reebok-fr30z").moving().payloads(TRAINING_STATUS) == []
    assert Central("fitshow-fs-6041f1").server.read(TRAINING_STATUS) == b"\x01\x01"


def test_what_is_missing_and_what_is_zero() -> None:
    """Yesoul W2 has no 2AD5, FR30z no 2ADA, RUNN no 2AD9; UREVO's incline range is all zeros."""
    for ident, uuid16 in (
        ("yesoul-w2-pro", INCLINE_RANGE),
        ("kingsmith-z1", SPEED_RANGE),
        ("reebok-fr30z", MACHINE_STATUS),
        ("runn", CONTROL_POINT),
    ):
        assert not Central(ident).server.habits.has(uuid16)
    with pytest.raises(LookupError, match="2AD5"):
        Central("yesoul-w2-pro").server.read(INCLINE_RANGE)
    assert Central("reebok-fr30z").moving().payloads(MACHINE_STATUS) == []
    assert Central("urevo").server.read(INCLINE_RANGE) == bytes(6)


def test_advertisements() -> None:
    """Swapped service data, none, and a service beside; 31 octets hold each of them."""
    assert find_model("dicolar-tr1200").habits.service_data == bytes.fromhex("010001")
    assert SimulatorEntry(service_data="").service_data == ""
    none = replace(Habits(), advertises_service_data=False)
    assert database.service_data(none) is None
    for ident in ("standard", "dicolar-tr1200", "domyos", "tunturi-t80"):
        assert len(database.advertisement(find_model(ident).habits, heart_rate=True)) <= 31
    beside = database.advertisement(find_model("tunturi-t80").habits, heart_rate=False)
    assert bytes.fromhex("2618f0ff") in beside
