"""What a simulated treadmill shows over Bluetooth: its advertisement, services and characteristics.

Built once from `Habits`; values are read and written through callables. Importing it imports
Bumble. Refuses to know links, time and what the octets mean.
"""

from collections.abc import Callable, Iterator
from typing import Final

from bumble.core import UUID, AdvertisingData
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.profiles.device_information_service import DeviceInformationService

from bridge.core.messages import Identity
from bridge.core.neighbours import encode_service_data
from bridge.simulator import ftms_server
from bridge.simulator.habits import Habits

FITNESS_MACHINE: Final = 0x1826
HEART_RATE_SERVICE: Final = 0x180D

_LONGEST_NAME = 29
"""What a scan response has room for beside the two octets before it."""

_GENERAL_DISCOVERABLE_LE_ONLY = bytes((0x06,))
_BASE_UUID_ENDING = "-0000-1000-8000-00805f9b34fb"
_VENDOR_SERVICE = "7265747f-0000-4000-8000-77616c6b0001"
"""A service of no known meaning, for characteristics that are looked up by their own UUID."""

_VENDOR_CHARACTERISTIC = "7265747f-0000-4000-8000-77616c6b0002"

_READ = Characteristic.Properties.READ
_NOTIFY = Characteristic.Properties.NOTIFY
_INDICATE = Characteristic.Properties.INDICATE
_WRITE = Characteristic.Properties.WRITE
_COMMAND = Characteristic.Properties.WRITE_WITHOUT_RESPONSE

_PROPERTIES: Final = {
    ftms_server.FEATURE: _READ,
    ftms_server.TREADMILL_DATA: _NOTIFY,
    ftms_server.TRAINING_STATUS: _READ | _NOTIFY,
    ftms_server.SPEED_RANGE: _READ,
    ftms_server.INCLINE_RANGE: _READ,
    ftms_server.MACHINE_STATUS: _NOTIFY,
    ftms_server.HEART_RATE: _NOTIFY,
}
"""FTMS v1.0, table 4.1. The encryption it asks for at the control point is asked by no machine
seen."""

_WRITES: Final = {
    "with-response": _WRITE,
    "without-response": _COMMAND,
    "both": _WRITE | _COMMAND,
}
_TELLS: Final = {"indicate": _INDICATE, "notify": _NOTIFY, "both": _INDICATE | _NOTIFY}
SUBSCRIBED_BY: Final = {"indicate": 0x02, "notify": 0x01, "both": 0x03}
"""The bits of the descriptor that count as a subscription, by what the control point claims."""

_FITNESS_CHARACTERISTICS: Final = (
    ftms_server.FEATURE,
    ftms_server.TREADMILL_DATA,
    ftms_server.TRAINING_STATUS,
    ftms_server.SPEED_RANGE,
    ftms_server.INCLINE_RANGE,
    ftms_server.CONTROL_POINT,
    ftms_server.MACHINE_STATUS,
)


class Database:
    """The services of one machine. ``read`` gets a 16-bit UUID, ``vendor_write`` a whole one."""

    def __init__(
        self,
        habits: Habits,
        identity: Identity,
        *,
        heart_rate: bool,
        read: Callable[[int], bytes],
        write: Callable[[Connection, bytes], None],
        vendor_write: Callable[[str, bytes], None],
    ) -> None:
        self._habits = habits
        self._read = read
        self._write = write
        self._vendor_write = vendor_write
        uuids = [uuid16 for uuid16 in _FITNESS_CHARACTERISTICS if habits.has(uuid16)]
        fitness = {uuid16: self._characteristic(uuid16) for uuid16 in uuids}
        self.characteristics = dict(fitness)
        self.services: list[Service] = [
            _device_information(identity, ending="\0" * habits.nul_terminated),
            Service(UUID.from_16_bits(FITNESS_MACHINE), list(fitness.values())),
        ]
        if heart_rate:
            beats = self._characteristic(ftms_server.HEART_RATE)
            self.characteristics[ftms_server.HEART_RATE] = beats
            self.services.append(Service(UUID.from_16_bits(HEART_RATE_SERVICE), [beats]))
        self.services += self._vendor_services()

    def _characteristic(self, uuid16: int) -> Characteristic[bytes]:
        if uuid16 == ftms_server.CONTROL_POINT:
            properties = _WRITES[self._habits.control_writes] | _TELLS[self._habits.control_tells]
        else:
            properties = _PROPERTIES[uuid16]
        permissions = Characteristic.Permissions(0)
        if properties & _READ:
            permissions |= Characteristic.READABLE
        if properties & (_WRITE | _COMMAND):
            permissions |= Characteristic.WRITEABLE
        value = CharacteristicValue(read=lambda _: self._read(uuid16), write=self._write)
        return Characteristic(UUID.from_16_bits(uuid16), properties, permissions, value)

    def _vendor_services(self) -> Iterator[Service]:
        """The maker's own: what unlocks the machine, and what only is there."""
        uuids = sorted({each.characteristic for each in self._habits.preambles})
        unlocking = [self._unlocking(uuid) for uuid in uuids]
        other = self._habits.other_service
        if other is not None:
            mute = Characteristic[bytes](
                UUID(_VENDOR_CHARACTERISTIC), _NOTIFY, Characteristic.Permissions(0), b""
            )
            yield Service(UUID(other), [mute])
        if unlocking:
            yield Service(UUID(_VENDOR_SERVICE), unlocking)

    def _unlocking(self, uuid: str) -> Characteristic[bytes]:
        value = CharacteristicValue[bytes](
            write=lambda _, payload: self._vendor_write(uuid, bytes(payload))
        )
        return Characteristic(
            UUID(uuid), _WRITE | _COMMAND, Characteristic.Permissions.WRITEABLE, value
        )


def _device_information(identity: Identity, *, ending: str) -> DeviceInformationService:
    def text(value: str) -> str | None:
        return value + ending if value else None

    return DeviceInformationService(
        manufacturer_name=text(identity.manufacturer),
        model_number=text(identity.model),
        serial_number=text(identity.serial),
        hardware_revision=text(identity.hardware),
        firmware_revision=text(identity.firmware),
        software_revision=text(identity.software),
    )


def advertisement(habits: Habits, *, heart_rate: bool) -> bytes:
    """The 31 octets or less that everybody hears; a long UUID leaves no room for service data."""
    kinds = AdvertisingData.Type
    services = [UUID.from_16_bits(FITNESS_MACHINE)]
    if heart_rate:
        services.append(UUID.from_16_bits(HEART_RATE_SERVICE))
    long_service = None
    if habits.advertises_other_service and habits.other_service is not None:
        other = habits.other_service
        if other.startswith("0000") and other.endswith(_BASE_UUID_ENDING):
            services.append(UUID(other[4:8]))
        else:
            long_service = UUID(other)
    fields: list[tuple[int, bytes]] = [
        (kinds.FLAGS, _GENERAL_DISCOVERABLE_LE_ONLY),
        (
            kinds.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
            b"".join(service.to_bytes() for service in services),
        ),
    ]
    if long_service is not None:
        kind = kinds.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS
        fields.append((kind, long_service.to_bytes()))
    elif (told := service_data(habits)) is not None:
        uuid = UUID.from_16_bits(FITNESS_MACHINE).to_bytes()
        fields.append((kinds.SERVICE_DATA_16_BIT_UUID, uuid + told))
    return bytes(AdvertisingData(fields))


def service_data(habits: Habits) -> bytes | None:
    """What this machine advertises for 0x1826, right or wrong; ``None``: nothing."""
    if not habits.advertises_service_data:
        return None
    right = encode_service_data(("treadmill",))
    return right if habits.service_data is None else habits.service_data


def scan_response(name: str) -> bytes:
    """The name, as much of it as there is room for."""
    octets = name.encode()
    kinds = AdvertisingData.Type
    whole = len(octets) <= _LONGEST_NAME
    kind = kinds.COMPLETE_LOCAL_NAME if whole else kinds.SHORTENED_LOCAL_NAME
    return bytes(AdvertisingData([(kind, octets[:_LONGEST_NAME])]))
