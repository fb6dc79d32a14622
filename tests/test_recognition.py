"""`bridge.recognition`: what was heard gets its profile or family, and strangers go."""

from typing import Any

from bleak.backends.device import BLEDevice

from bridge.bluetooth.scan import FITNESS_MACHINE, Seen
from bridge.device_profile import load_devices, load_families
from bridge.recognition import recognised


def seen(name: str, **heard: Any) -> Seen:
    """One device of this name."""
    return Seen(address=name, name=name, device=BLEDevice(name, name, None), **heard)


def test_treadmills_are_told_from_phones() -> None:
    """By FTMS, by service data, or by name alone; in the order they came, with what they are."""
    found = [
        seen("Belt", service_uuids=(FITNESS_MACHINE,)),
        seen("Phone"),
        seen("", service_uuids=("0000fe00-0000-1000-8000-00805f9b34fb",)),
        seen("HORIZON_7.8AT"),
        seen("TR1200-T", service_data=b"\x01\x00\x01"),
        seen("KS-HD-Z1D"),
        seen("KS-H1"),
        seen("PITPAT-T01"),
        seen("NOBLEPRO CONNECT"),
        seen("NOBLEPRO CONNECT", service_uuids=(FITNESS_MACHINE,)),
    ]
    kept = recognised(found, load_devices().values(), load_families())
    assert [
        (one.name, one.device_profile, one.other_family and one.other_family.id) for one in kept
    ] == [
        ("Belt", "standard", None),
        ("", None, "kingsmith-wilink"),
        ("HORIZON_7.8AT", "horizon-7-8at", None),
        ("TR1200-T", "dicolar-tr1200", None),
        ("KS-HD-Z1D", "kingsmith-z1", None),
        ("KS-H1", None, "kingsmith-wilink"),
        ("PITPAT-T01", None, "pitpat"),
        ("NOBLEPRO CONNECT", None, "fitshow"),
        ("NOBLEPRO CONNECT", "noblepro", None),
    ]
