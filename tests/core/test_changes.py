"""Say, wait, then change: the one announced change, from its announcement to its end."""

from dataclasses import replace

import pytest

from bridge.core.announcements import EXPIRES_AFTER_S, Announcements
from bridge.core.changes import Change, Changes
from bridge.core.governor import Permit
from bridge.core.messages import Delivered, Language


def said() -> tuple[Changes, Announcements]:
    """A rise from 1.0 to 1.4 at 2 % has been announced at 10 s, and nobody has heard it yet."""
    voice = Announcements(
        prefix="p", language=Language(id="en", phrases={}, cues={}), counting=frozenset({"page"})
    )
    announcement = voice.say("faster", 10.0)
    changes = Changes()
    changes.announce(
        Change(
            announcement_id=announcement.id,
            lead_s=8.0,
            from_kmh=1.0,
            speed_kmh=1.4,
            from_pct=2.0,
            incline_pct=2.0,
        )
    )
    return changes, voice


def test_without_a_change_nothing_is_permitted() -> None:
    """S6: default is no; a goal is then not cut short, since only the governor lets it pass."""
    _, voice = said()
    changes = Changes()
    assert changes.permit(voice) is None
    assert changes.unheard(voice) is None
    assert changes.goal(3.0, 2.0) == (3.0, 2.0)
    assert not changes.reached(9.0, 9.0)


def test_a_change_is_permitted_once_it_was_heard() -> None:
    """S6: said is not heard; heard, it carries the time and everything that was said."""
    changes, voice = said()
    assert changes.permit(voice) is None
    voice.delivered(Delivered(announcement_id="p-say-1", channel="page"), 12.0)
    assert changes.permit(voice) == Permit(
        delivered_at_s=12.0,
        lead_s=8.0,
        from_kmh=1.0,
        speed_kmh=1.4,
        from_pct=2.0,
        incline_pct=2.0,
    )


def test_a_change_that_nobody_heard_is_cancelled() -> None:
    """S6: once its time ran out, once, and with it what was permitted."""
    changes, voice = said()
    assert changes.unheard(voice) is None
    before = changes.cancelled
    voice.expire(10.0 + EXPIRES_AFTER_S)
    change = changes.unheard(voice)
    assert change is not None
    assert change.speed_kmh == 1.4
    assert (before, changes.cancelled, changes.pending) == (False, True, None)
    assert changes.permit(voice) is None
    assert changes.unheard(voice) is None


def test_a_change_that_was_heard_is_not_cancelled() -> None:
    """S6: however long the ramp takes."""
    changes, voice = said()
    voice.delivered(Delivered(announcement_id="p-say-1", channel="page"), 12.0)
    voice.expire(10.0 + 8 * EXPIRES_AFTER_S)
    assert changes.unheard(voice) is None
    assert changes.permit(voice) is not None


@pytest.mark.parametrize(
    ("goal", "expected"),
    [((3.0, 5.0), (1.4, 2.0)), ((1.2, 1.0), (1.2, 1.0)), ((1.4, 2.0), (1.4, 2.0))],
)
def test_a_goal_leads_no_further_than_was_said(
    goal: tuple[float, float], expected: tuple[float, float]
) -> None:
    """S6: the record says where the belt really goes now; slower needs no word."""
    changes, _ = said()
    assert changes.goal(*goal) == expected


@pytest.mark.parametrize(
    ("speed_kmh", "incline_pct", "reached"),
    [(1.3, 2.0, False), (1.4, 1.5, False), (1.4, 2.0, True), (1.5, 3.0, True)],
)
def test_a_change_is_over_when_both_are_there(
    speed_kmh: float, incline_pct: float, reached: bool
) -> None:
    """S6: a permit never outlives the change it was said for."""
    changes, _ = said()
    assert changes.reached(speed_kmh, incline_pct) is reached
    assert (changes.pending is None) is reached


def test_an_announced_rise_ends_a_fall_that_was_said() -> None:
    """The next fall, even to the same speed, is said again; an incline's rise does not matter."""
    changes, _ = said()
    rise = changes.pending
    assert rise is not None
    for to_kmh, expected in ((1.0, 0.8), (1.4, None)):
        changes.falling_to_kmh = 0.8
        changes.announce(
            Change(
                announcement_id="x",
                lead_s=8.0,
                from_kmh=1.0,
                speed_kmh=to_kmh,
                from_pct=2.0,
                incline_pct=3.0,
            )
        )
        assert changes.falling_to_kmh == expected


@pytest.mark.parametrize("ahead_said", [True, False])
def test_a_new_segment_keeps_only_what_was_said_for_it(ahead_said: bool) -> None:
    """S6: what was meant for the old segment is not permitted in the new one.

    A cancelled rise is forgiven, for the new one will be announced in its own words.
    """
    changes, _ = said()
    changes.ahead_said, changes.cancelled = ahead_said, True
    changes.next_segment()
    assert (changes.pending is not None) is ahead_said
    assert not changes.cancelled
    assert not changes.ahead_said


def test_clearing_forgets_everything() -> None:
    """S8, S11: after a hold or a stop nothing that was said before counts."""
    changes, voice = said()
    voice.delivered(Delivered(announcement_id="p-say-1", channel="page"), 12.0)
    changes.cancelled = changes.ahead_said = True
    changes.noted, changes.falling_to_kmh = (1.4, 2.0), 1.0
    changes.clear()
    assert changes == Changes()
    assert changes.permit(voice) is None


def test_a_fall_takes_back_a_faster_that_was_announced() -> None:
    """Slower was wanted in between: what was said about faster is off; without one, nothing is."""
    changes, _ = said()
    changes.fall()
    assert changes.pending is None
    changes.fall()
    assert changes.pending is None


def test_a_fall_leaves_an_incline_that_was_announced() -> None:
    """The incline was said for itself; a slower speed does not contradict it."""
    changes, _ = said()
    assert changes.pending is not None
    steeper = replace(changes.pending, speed_kmh=1.0, incline_pct=3.0)
    changes.announce(steeper)
    changes.fall()
    assert changes.pending == steeper
