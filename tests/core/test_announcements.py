"""What is said, in which words, and whether it was heard."""

import pytest

from bridge.core.announcements import (
    DELIVERY_TRANSITIONS,
    EXPIRES_AFTER_S,
    FORGOTTEN_AFTER_S,
    Announcements,
    Delivery,
)
from bridge.core.messages import Delivered, Language, Urgency

ENGLISH = Language(
    id="en",
    phrases={
        "number.decimal": " point ",
        "rise": "In {lead_s} seconds, faster: {speed_kmh}.",
        "turn": "Turn to walk {direction}.",
    },
    cues={},
)


def a_voice() -> Announcements:
    """Page and MQTT count; the page has somebody listening."""
    return Announcements(
        prefix="garage-b1",
        language=ENGLISH,
        counting=frozenset({"page", "mqtt"}),
        listening=frozenset({"page"}),
    )


def heard(announcement_id: str, channel: str = "page") -> Delivered:
    """A channel says that it spoke."""
    return Delivered(announcement_id=announcement_id, channel=channel)


def test_what_is_said_carries_everything_a_voice_needs() -> None:
    """Ids count up and are this boot's own, so that an old acknowledgement fits nothing."""
    voice = a_voice()
    first = voice.say(
        "rise", 5.0, urgency=Urgency.WARN, lead_s=8.0, values={"lead_s": 8.0, "speed_kmh": 1.4}
    )
    assert first.id == "garage-b1-say-1"
    assert first.text == "In 8 seconds, faster: 1 point 4."
    assert (first.language, first.urgency, first.lead_s) == ("en", Urgency.WARN, 8.0)
    assert first.expires_in_s == EXPIRES_AFTER_S
    second = voice.say("turn", 5.0, values={"direction": "backward"})
    assert second.id == "garage-b1-say-2"
    assert second.text == "Turn to walk backward."
    assert (second.urgency, second.lead_s) == (Urgency.INFO, 0.0)


@pytest.mark.parametrize(
    ("value", "spoken"),
    [(2.0, "2"), (2, "2"), (1.4, "1 point 4"), (0.25, "0 point 2"), (10.0, "10"), ("x", "x")],
)
def test_numbers_are_written_as_they_are_spoken(value: float | str, spoken: str) -> None:
    """A voice that reads "2.0" says "two point zero"."""
    assert a_voice().compose("turn", {"direction": value}) == f"Turn to walk {spoken}."


def test_a_phrase_that_is_missing_is_not_silent() -> None:
    """S6: a gap in a translation must not become a change that nobody was told."""
    assert a_voice().compose("announce.unknown", {}) == "announce.unknown"
    bare = Announcements(
        prefix="p", language=Language(id="xx", phrases={"x": "{n}"}, cues={}), counting=frozenset()
    )
    assert bare.compose("x", {"n": 1.5}) == "1.5"


@pytest.mark.parametrize(
    ("counting", "listening", "voice"),
    [
        (set(), {"page"}, False),
        ({"page"}, set(), False),
        ({"page"}, {"mqtt"}, False),
        ({"page"}, {"page", "mqtt"}, True),
    ],
)
def test_somebody_hears_only_where_it_counts(
    counting: set[str], listening: set[str], voice: bool
) -> None:
    """S6: a channel that the settings do not name is no voice."""
    announcements = Announcements(
        prefix="p",
        language=ENGLISH,
        counting=frozenset(counting),
        listening=frozenset(listening),
    )
    assert announcements.voice is voice


# --- delivery ------------------------------------------------------------------------------------


def test_the_first_delivery_counts() -> None:
    """S6: when it was heard, and by which channel; a second voice changes nothing."""
    voice = a_voice()
    said = voice.say("turn", 5.0, values={"direction": "x"})
    assert voice.delivered_at_s(said.id) is None
    assert not voice.expired(said.id)
    spoken = voice.delivered(heard(said.id), 7.0)
    assert spoken is not None
    assert (spoken.delivery, spoken.delivered_at_s, spoken.channel, spoken.said_at_s) == (
        Delivery.DELIVERED,
        7.0,
        "page",
        5.0,
    )
    assert voice.delivered(heard(said.id, "mqtt"), 8.0) is None
    assert voice.delivered_at_s(said.id) == 7.0


def test_a_channel_that_does_not_count_delivers_nothing() -> None:
    """S6: nor does an acknowledgement of something that was never said."""
    voice = a_voice()
    said = voice.say("turn", 5.0, values={"direction": "x"})
    assert voice.delivered(heard(said.id, "lamp"), 6.0) is None
    assert voice.delivered(heard("garage-b0-say-1"), 6.0) is None
    assert voice.delivered_at_s(said.id) is None
    assert voice.delivered_at_s("garage-b0-say-1") is None


def test_what_nobody_spoke_in_time_expires_once() -> None:
    """S6: fifteen seconds, and not before; a late acknowledgement does not bring it back."""
    voice = a_voice()
    said = voice.say("turn", 5.0, values={"direction": "x"})
    assert voice.expire(5.0 + EXPIRES_AFTER_S - 0.01) == []
    assert not voice.expired(said.id)
    assert [spoken.announcement for spoken in voice.expire(5.0 + EXPIRES_AFTER_S)] == [said]
    assert voice.expired(said.id)
    assert voice.expire(5.0 + EXPIRES_AFTER_S) == []
    assert voice.delivered(heard(said.id), 21.0) is None
    assert voice.expired(said.id)
    assert voice.delivered_at_s(said.id) is None


def test_what_was_heard_does_not_expire() -> None:
    """S6: a slow ramp may take minutes, and all of it was announced."""
    voice = a_voice()
    said = voice.say("turn", 5.0, values={"direction": "x"})
    voice.delivered(heard(said.id), 6.0)
    assert voice.expire(5.0 + FORGOTTEN_AFTER_S - 0.01) == []
    assert voice.delivered_at_s(said.id) == 6.0
    assert not voice.expired(said.id)


def test_what_is_long_over_is_forgotten() -> None:
    """Memory stays bounded, and a forgotten announcement counts as never heard."""
    voice = a_voice()
    said = voice.say("turn", 5.0, values={"direction": "x"})
    voice.delivered(heard(said.id), 6.0)
    assert voice.expire(5.0 + FORGOTTEN_AFTER_S) == []
    assert voice.open == {}
    assert voice.expired(said.id)


def test_delivered_and_expired_are_final() -> None:
    """The table has no row out of either."""
    assert {before for before, _ in DELIVERY_TRANSITIONS} == {Delivery.QUEUED}
    assert set(DELIVERY_TRANSITIONS.values()) == {Delivery.DELIVERED, Delivery.EXPIRED}
