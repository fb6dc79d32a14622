"""Every device profile has a machine that is as the profile says: found, told and driven."""

import pytest

from bridge.core.matching import FITNESS_MACHINE, match_device
from bridge.core.messages import Identity, OpCode
from bridge.core.neighbours import read_service_data
from bridge.core.quirks import Quirks
from bridge.device_profile import load_devices
from bridge.simulator.ftms_server import CONTROL_POINT, FtmsServer
from bridge.simulator.model import STANDARD, find_model
from tests.simulator.central import Central

PROFILES = load_devices()
NEAR_KMH = 0.011
"""A field's resolution, and rounding twice between miles and kilometres."""


def told_services(model_id: str) -> list[str]:
    """The services that a model advertises."""
    habits = find_model(model_id).habits
    other = [habits.other_service] if habits.advertises_other_service else []
    return [FITNESS_MACHINE, *filter(None, other)]


DRIVABLE = sorted(
    ident
    for ident, profile in PROFILES.items()
    if profile.quirks.service == "ftms"
    and "speed" not in profile.quirks.ignored_ops
    and profile.quirks.start_before_target != "needed"
)
FTMS = sorted(ident for ident, each in PROFILES.items() if each.quirks.service == "ftms")


@pytest.mark.parametrize("ident", sorted(PROFILES))
def test_is_matched_by_its_own_profile(ident: str) -> None:
    """By what it advertises, and by that and Device Information; unless only the latter tells."""
    model = find_model(ident)
    data = model.habits.service_data
    found = match_device(
        model.identity.name, told_services(ident), data, model.identity, PROFILES.values()
    )
    assert found.id == ident
    if data is not None:
        assert read_service_data(data)["machine_types"] == ["treadmill"]


@pytest.mark.parametrize("ident", sorted(PROFILES))
@pytest.mark.parametrize("mtu", [23, 185])
def test_records_decode_to_what_the_belt_does(ident: str, mtu: int) -> None:
    """Joined and put right they are true, whatever their shape; a facade tells nothing but 0."""
    central = Central(ident, mtu=mtu).moving()
    server, quirks = central.server, central.quirks
    server.console_incline(2.0, central.now_s)
    server.console_speed(2.5, central.now_s)
    central.wait(21)  # not at the moment of a spurious zero
    last = central.readings()[-1]
    if quirks.service == "other":
        assert (last.speed_kmh, last.distance_m, last.elapsed_s) == (0, 0, 0)
        return
    assert server.belt.target_speed_kmh == server.belt.speed_kmh > 2.2
    assert last.speed_kmh == pytest.approx(server.belt.speed_kmh, abs=NEAR_KMH)
    if last.incline_pct is not None:
        assert last.incline_pct == pytest.approx(server.belt.incline_pct, abs=0.1)
    if last.distance_m is not None:
        assert last.distance_m == pytest.approx(server.belt.distance_m, abs=2)
    assert last.warning in (None, "truncated" if server.habits.truncates_records else "trailing")


@pytest.mark.parametrize("ident", FTMS)
def test_ranges_put_right_are_those_of_the_body(ident: str) -> None:
    """What is told and what the profile corrects make the machine's true limits."""
    central = Central(ident)
    spec, machine = central.model.spec, central.machine()
    if machine.speed_range is not None:
        told = machine.speed_range
        assert told.min_speed_kmh == pytest.approx(spec.min_speed_kmh, abs=NEAR_KMH)
        assert told.min_speed_kmh >= spec.min_speed_kmh - 1e-9
        assert told.max_speed_kmh == pytest.approx(spec.max_speed_kmh, abs=NEAR_KMH)
        assert told.step_speed_kmh == pytest.approx(spec.step_speed_kmh, abs=NEAR_KMH)
    else:
        assert not machine.controllable
    if machine.incline_range is not None:
        assert machine.incline_range.min_incline_pct == spec.min_incline_pct
        assert machine.incline_range.max_incline_pct == spec.max_incline_pct
        assert machine.incline_range.step_incline_pct == spec.step_incline_pct


@pytest.mark.parametrize("ident", DRIVABLE)
def test_obeys_a_client_that_keeps_to_the_profile(ident: str) -> None:
    """Some steps of its own above the minimum, then Stop; never above what was asked for.

    Targets are repeated where the profile says that they fade.
    """
    central = Central(ident).moving()
    spec = central.model.spec
    assert central.kmh == pytest.approx(spec.min_speed_kmh)
    for steps in (1, 3, 7):
        kmh = spec.min_speed_kmh + steps * spec.step_speed_kmh
        central.set_speed(kmh + 0.001)
        seconds = 40.0
        while seconds > 0:
            central.wait(2.0)
            seconds -= 2.0
            if central.quirks.keep_alive_s is not None:
                central.set_speed(kmh + 0.001)
        assert kmh - spec.step_speed_kmh - 0.001 <= central.kmh <= kmh + 0.001
        assert central.kmh == pytest.approx(kmh, abs=0.011 + spec.step_speed_kmh * 0.2)
    central.write(b"\x08\x01")
    central.wait(15)
    assert central.kmh == 0


@pytest.mark.parametrize("ident", DRIVABLE)
def test_takes_inclines_in_its_own_codes(ident: str) -> None:
    """2 % asked for in the profile's words is 2 % on the belt, unless it has no incline to move."""
    central = Central(ident).moving()
    central.set_incline(2.0)
    central.wait(20)
    moved = 0.0 if "incline" in central.quirks.ignored_ops else 2.0
    assert central.server.belt.incline_pct == moved


def test_the_standard_profile_is_the_plain_machine() -> None:
    """No file is read for it, and nothing about it is special."""
    model = find_model("standard")
    assert model is STANDARD
    assert model.quirks == Quirks()
    assert model.habits == FtmsServer().habits


def test_a_facade_nods_and_does_nothing() -> None:
    """Row 50: presents itself like FTMS and is not; its own service is advertised beside."""
    central = Central("domyos").moving()
    assert [central.ask(raw) for raw in (b"\x02\x64\x00", b"\x08\x01")] == [1, 1]
    central.wait(5)
    assert central.kmh == central.model.spec.min_speed_kmh
    assert central.model.habits.other_service in told_services("domyos")
    assert match_device("DOMYOS-X", told_services("domyos"), None, None, PROFILES.values()).id == (
        "domyos"
    )


@pytest.mark.parametrize("ident", ["runn", "sperax-rm-01"])
def test_what_drives_nothing_stays_as_it_is(ident: str) -> None:
    """A sensor has no control point; a mute one acknowledges and does nothing."""
    central = Central(ident)
    if ident == "runn":
        assert not central.server.habits.has(CONTROL_POINT)
        return
    central.moving()
    assert [central.ask(raw) for raw in (b"\x02\x64\x00", b"\x08\x01", b"\x08\x02")] == [1, 1, 1]
    assert central.wait(5).kmh == central.model.spec.min_speed_kmh


def test_names_and_texts_come_from_the_example() -> None:
    """Device Information is that of the profile's example."""
    assert find_model("yesoul-w2-pro").identity == Identity(
        name="YS_W2PRO_02395", manufacturer="YESOUL", model="W2PRO", firmware="V357"
    )
    assert find_model("star-trac").identity.name == "Star Trac treadmills"


def test_start_by_a_client_where_only_that_makes_it_obey() -> None:
    """Row 1: targets fail after the console's Start; a Start of the client's is welcome then."""
    central = Central("technogym-myrun").moving()
    assert central.set_speed(2.0)[-1][2] == 4
    assert central.ask(bytes((OpCode.START_OR_RESUME,))) == 1
    assert central.set_speed(2.0)[-1][2] == 1
    assert central.write(b"\x02\xc8\x00")[-1][2] == 5, "each target wants control asked for anew"
