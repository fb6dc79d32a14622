"""Reading faults: every form of the contract, and nothing but them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import ConfigError
from bridge.simulator.habits import (
    FAULT_FORMS,
    Act,
    Fault,
    HabitChange,
    Habits,
    TimedAct,
    parse_fault,
)

CONTRACT = (
    "start-toggle targets-mph late-data:S silent:S drop-link:AT_S no-indication result:CODE"
    " split-records truncated no-service-data no-ranges key-out:AT_S console-speed:KMH@S"
    " console-stop:AT_S runaway:AT_S lazy-belt ignores-incline reboot:AT_S control-lost:AT_S"
)


def test_the_closed_list_is_the_contracts() -> None:
    """Section 8, name by name; wraps-elapsed stands there with its number."""
    forms = {form for form in FAULT_FORMS if not form.startswith("wraps-elapsed:")}
    assert forms == set(CONTRACT.split())
    assert len(FAULT_FORMS) == len(forms) + 1


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("start-toggle", HabitChange(fields={"start_while_running": "pauses"})),
        ("targets-mph", HabitChange(fields={"targets_in_mph": True})),
        ("late-data:2.5", HabitChange(fields={"data_delay_s": 2.5})),
        ("silent:12", TimedAct(act=Act.SILENCE, after_s=0, value=12)),
        ("drop-link:30", TimedAct(act=Act.DROP_LINK, after_s=30)),
        ("no-indication", HabitChange(fields={"acknowledges": "none"})),
        ("result:05", HabitChange(fields={"forced_result": 5})),
        ("result:0x7f", HabitChange(fields={"forced_result": 127})),
        ("split-records", HabitChange(fields={"splits_records": True})),
        ("truncated", HabitChange(fields={"truncates_records": True})),
        ("no-service-data", HabitChange(fields={"advertises_service_data": False})),
        ("no-ranges", HabitChange(fields={"has_ranges": False})),
        ("key-out:0", TimedAct(act=Act.KEY_OUT, after_s=0)),
        ("console-speed:1.5@20", TimedAct(act=Act.CONSOLE_SPEED, after_s=20, value=1.5)),
        ("console-stop:9", TimedAct(act=Act.CONSOLE_STOP, after_s=9)),
        ("runaway:9", TimedAct(act=Act.RUNAWAY, after_s=9)),
        ("lazy-belt", HabitChange(fields={"follows_rises": False})),
        ("ignores-incline", HabitChange(fields={"follows_incline": False})),
        ("wraps-elapsed:6000", HabitChange(fields={"elapsed_wraps_at_s": 6000})),
        ("reboot:9", TimedAct(act=Act.REBOOT, after_s=9)),
        (" control-lost:9 ", TimedAct(act=Act.CONTROL_LOST, after_s=9)),
    ],
)
def test_reads(text: str, fault: Fault) -> None:
    """What each form means; a habit change applies to the plain habits."""
    assert parse_fault(text) == fault
    if isinstance(fault, HabitChange):
        assert fault.applied(Habits()) != Habits()


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("toggle", "start-toggle, targets-mph"),
        ("", "start-toggle"),
        ("start-toggle:1", "start-toggle and no more"),
        ("start-toggle:", "start-toggle and no more"),
        ("late-data", "late-data:S"),
        ("late-data:", "0 to 86400"),
        ("late-data:-1", "0 to 86400"),
        ("late-data:nan", "0 to 86400"),
        ("late-data:1e3", "0 to 86400"),
        ("late-data:86401", "0 to 86400"),
        ("silent:x", "silent:S"),
        ("drop-link:٣", "drop-link:AT_S"),
        ("result:256", "0 to 255"),
        ("result:0x100", "0 to 255"),
        ("result:5.0", "0 to 255"),
        ("console-speed:1.5", "KMH@S"),
        ("console-speed:0@3", "KMH@S"),
        ("console-speed:26@3", "KMH@S"),
        ("console-speed:@3", "KMH@S"),
        ("console-speed:2@", "KMH@S"),
        ("wraps-elapsed:0", "1 to 65535"),
        ("wraps-elapsed:65536", "1 to 65535"),
        ("wraps-elapsed:1.5", "1 to 65535"),
    ],
)
def test_refuses_and_says_what_is_allowed(text: str, allowed: str) -> None:
    """The message quotes what was written and names what would do."""
    with pytest.raises(ConfigError) as caught:
        parse_fault(text)
    assert repr(text) in str(caught.value)
    assert allowed in str(caught.value)


@given(st.text() | st.builds("{}:{}".format, st.sampled_from([*FAULT_FORMS]), st.text()))
def test_any_text_is_a_fault_or_a_config_error(text: str) -> None:
    """No other exception leaves the door."""
    try:
        fault = parse_fault(text)
    except ConfigError:
        return
    assert isinstance(fault, HabitChange | TimedAct)
