"""Bluetooth controllers made of software, and the doors to real ones, for whoever speaks Bumble.

`VirtualRadio` is a place where Bluetooth devices hear each other inside this process: the demo,
the simulator and the tests put a treadmill and a bridge on it. `open_device` reaches a controller
elsewhere (USB dongle, TCP). Importing this module imports Bumble, so import it only when used. It
refuses to know what the devices are for: no treadmill, no bleak.

Bumble's own link and controller (0.0.236) depart from a radio in ways that a client notices; each
override below says which one it mends.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from bumble import hci, ll
from bumble.controller import Connection, Controller, LegacyAdvertiser
from bumble.core import BaseBumbleError, PhysicalTransport
from bumble.device import Device, DeviceConfiguration
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport import open_transport
from bumble.transport.common import AsyncPipeSink

from bridge.core.errors import LinkError

# Core specification 6.0, Vol 6 Part B, 4.4.2.1: advertising intervals count in 0.625 ms.
_ADVERTISING_UNIT_S = 0.000625
# A controller on USB or TCP answers its reset within milliseconds; a wrong port never does.
POWER_ON_TIMEOUT_S = 5.0


@contextmanager
def heeding_cancellation() -> Iterator[None]:
    """Raise a cancellation that Bumble has swallowed inside the block.

    It waits with `asyncio.wait_for`, which until Python 3.12 loses a cancellation that comes in the
    same moment as the answer (python/cpython#86296). Controllers made of software answer at once,
    so that here it is the rule: what was cancelled would go on for ever.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


class _Host(Host):
    """A host for commands whose asker may be cancelled before the answer comes."""

    def on_command_processed(
        self, event: hci.HCI_Command_Complete_Event[Any] | hci.HCI_Command_Status_Event
    ) -> None:
        """Late answers are dropped; Bumble raises, or gives them to whoever asks next."""
        waiting, asked = self.pending_response, self.pending_command
        if waiting is None or waiting.done() or asked is None:
            return
        if asked.op_code == event.command_opcode:
            super().on_command_processed(event)


@dataclass
class _Advertisement(ll.AdvInd):
    """An advertising PDU with what a scan request would have been answered and how strong it is."""

    scan_response: bytes = b""
    rssi_dbm: int = -50


class _Advertiser(LegacyAdvertiser):
    """Sends its scan response along (Bumble keeps it to itself), at the interval that was set."""

    def send_advertising_data(self) -> None:
        """One advertising event."""
        controller = self.controller
        undirected = hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType.ADV_IND
        if not self.enabled or self.advertising_type != undirected:
            return
        assert isinstance(controller, VirtualController)
        controller.send_advertising_pdu(
            _Advertisement(
                advertiser_address=self.address,
                data=self.advertising_data,
                scan_response=self.scan_response_data,
                rssi_dbm=controller.rssi_dbm,
            )
        )

    def _on_timer_fired(self) -> None:
        self.send_advertising_data()
        self.timer_handle = asyncio.get_running_loop().call_later(
            max(self.advertising_interval_min * _ADVERTISING_UNIT_S, 0.02), self._on_timer_fired
        )


class VirtualController(Controller):
    """A Bluetooth LE controller of software. ``rssi_dbm`` is how strong others hear it."""

    rssi_dbm: int = -50
    # Without these two, hosts use the legacy commands, the ones that are simulated here.
    le_features = Controller.le_features & ~(
        hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
    )

    def __init__(self, name: str, radio: "VirtualRadio", public_address: str) -> None:
        super().__init__(name, link=radio, public_address=public_address)
        self.radio = radio
        self.le_legacy_advertiser = _Advertiser(self)

    def listens_to(self, address: hci.Address) -> bool:
        """Whether an advertisement from ``address`` would change anything here."""
        pending = self.pending_le_connection
        return self.le_scan_enable or (pending is not None and pending.peer_address == address)

    def answers_to(self, address: hci.Address) -> bool:
        """Whether ``address`` is one of this controller's own, now or on a standing link."""
        if address in (self.random_address, self.public_address):
            return True
        return any(link.self_address == address for link in self.le_connections.values())

    def on_advertising_pdu(self, pdu: ll.AdvInd | ll.AdvExtInd) -> None:
        """Report what was heard; Bumble repeats the advertisement as its own scan response."""
        if not isinstance(pdu, _Advertisement):
            return
        if self.le_scan_enable:
            kinds = hci.HCI_LE_Advertising_Report_Event.EventType
            self._report(kinds.ADV_IND, pdu, pdu.data)
            if self.le_scan_type == hci.HCI_LE_Set_Scan_Parameters_Command.ACTIVE_SCANNING:
                self._report(kinds.SCAN_RSP, pdu, pdu.scan_response)
        pending = self.pending_le_connection
        if pending is not None and pending.peer_address == pdu.advertiser_address:
            self.create_le_connection(pdu.advertiser_address)

    def _report(self, kind: int, pdu: _Advertisement, data: bytes) -> None:
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=kind,
            address_type=pdu.advertiser_address.address_type,
            address=pdu.advertiser_address,
            data=data,
            rssi=pdu.rssi_dbm,
        )
        self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    def create_le_connection(self, peer_address: hci.Address) -> None:
        """Connect, unless somebody else was faster: then keep waiting (Bumble says connected)."""
        peer = self.radio.find_le_controller(peer_address)
        if peer is not None and peer.le_legacy_advertiser.enabled:
            super().create_le_connection(peer_address)

    def on_hci_le_create_connection_cancel_command(
        self, command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Forget the pending connection and say so; Bumble does nothing and the host waits on."""
        pending = self.pending_le_connection
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.pending_le_connection = None
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=pending.peer_address.address_type,
                peer_address=pending.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            )
        )
        return super().on_hci_le_create_connection_cancel_command(command)

    def on_hci_reset_command(
        self, command: hci.HCI_Reset_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Be silent: no scan, no advertising, no links. Bumble resets nothing."""
        self.silence()
        return super().on_hci_reset_command(command)

    def silence(self) -> None:
        """Stop everything; whoever was connected notices the loss, the own host is not told."""
        self.le_scan_enable = False
        self.pending_le_connection = None
        self.le_legacy_advertiser.stop()
        links = list(self.le_connections.values())
        self.le_connections.clear()
        for link in links:
            self.radio.lose(link)

    def drop_links(self) -> None:
        """Out of reach: both ends of every link see a supervision timeout (0x08)."""
        for link in list(self.le_connections.values()):
            self.on_le_disconnected(link, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
            self.radio.lose(link)


class VirtualRadio(LocalLink):
    """The air between virtual controllers.

    ``async with`` is not needed: nothing runs here but the controllers' own timers, and those end
    with `remove` or with the event loop.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._spare_addresses = itertools.count(1)
        self._holders: dict[hci.Address, VirtualController] = {}

    async def device(self, name: str, address: str) -> Device:
        """A Bumble device with its own controller, powered on and otherwise silent.

        ``address`` becomes its random static address (so its two highest bits should be set, as in
        ``F0:...`` or ``C4:...``); links and advertisements use it.
        """
        controller = self.controller(name)
        host = _Host(controller, AsyncPipeSink(controller))
        device = Device(config=_configuration(name, address), host=host)
        with heeding_cancellation():
            await device.power_on()
        return device

    def controller(self, name: str) -> VirtualController:
        """A bare controller for a host elsewhere: give it a packet sink and feed `on_packet`.

        One each host: a controller outlives no client. `remove` it when its host is gone.
        """
        number = next(self._spare_addresses).to_bytes(3, "big")
        return VirtualController(name, self, f"02:00:00:{number.hex(':')}")

    def controller_of(self, device: Device) -> VirtualController:
        """The controller that ``device`` (made by `device`) sits on."""
        sink = device.host.hci_sink
        assert isinstance(sink, AsyncPipeSink)
        assert isinstance(sink.sink, VirtualController)
        return sink.sink

    def drop_links(self, device: Device) -> None:
        """Take ``device`` out of reach for a moment: both ends of its links see the loss."""
        self.controller_of(device).drop_links()

    def remove(self, controller: VirtualController) -> None:
        """Take a controller off the air for good."""
        controller.silence()
        self.remove_controller(controller)

    def lose(self, link: Connection) -> None:
        """The far end of ``link`` sees a supervision timeout."""
        peer = self.find_le_controller(link.peer_address)
        if peer is not None and (theirs := peer.le_connections.get(link.self_address)):
            peer.on_le_disconnected(theirs, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)

    def find_le_controller(self, address: hci.Address) -> VirtualController | None:
        """Who has ``address``. Remembered: Bumble asks every controller for every packet."""
        known = self._holders.get(address)
        if known is not None and known in self.controllers and known.answers_to(address):
            return known
        found = super().find_le_controller(address)
        if found is None:
            return None
        assert isinstance(found, VirtualController)
        self._holders[address] = found
        return found

    def send_advertising_pdu(
        self, sender_controller: Controller, packet: ll.AdvertisingPdu
    ) -> None:
        """To those who listen, not to all (Bumble: N advertisers cost N squared)."""
        if isinstance(packet, ll.ConnectInd):
            # At once, so that of two who try only one connects.
            peer = self.find_le_controller(packet.advertiser_address)
            if peer is not None:
                peer.on_ll_advertising_pdu(packet)
        elif isinstance(packet, ll.AdvInd):
            loop = asyncio.get_running_loop()
            for controller in self.controllers:
                assert isinstance(controller, VirtualController)
                if controller is not sender_controller and controller.listens_to(
                    packet.advertiser_address
                ):
                    loop.call_soon(controller.on_ll_advertising_pdu, packet)

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        """Along the link it was sent on; Bumble goes by the sender's address of the moment."""
        ours = sender_controller.le_connections.get(destination_address)
        peer = self.find_le_controller(destination_address)
        if ours is None or peer is None:
            return
        source = ours.self_address

        def deliver() -> None:
            if source in peer.le_connections:  # else lost with the link, in the air
                peer.on_link_acl_data(source, transport, data)

        asyncio.get_running_loop().call_soon(deliver)


def _configuration(name: str, address: str) -> DeviceConfiguration:
    return DeviceConfiguration(name=name, address=hci.Address(address), advertising_data=b"")


@asynccontextmanager
async def open_device(
    transport: str, name: str = "Retrowalk", address: str = ""
) -> AsyncIterator[Device]:
    """A Bumble device, powered on, on a controller that exists elsewhere.

    ``transport`` is any Bumble transport (``usb:0``, ``tcp-client:127.0.0.1:6402``); ``address``
    its random static address, made up when empty. Raises `LinkError` when the controller cannot be
    reached or does not answer within `POWER_ON_TIMEOUT_S`. At the end the controller is reset, so
    that it neither scans nor advertises nor stays connected.
    """
    own = address or str(hci.Address.generate_static_address()).partition("/")[0]
    try:
        async with asyncio.timeout(POWER_ON_TIMEOUT_S):
            hci_transport = await open_transport(transport)
    except (OSError, ValueError, BaseBumbleError) as error:
        raise LinkError(f"cannot open Bluetooth transport {transport!r}: {error}") from error
    async with hci_transport:
        host = _Host(hci_transport.source, hci_transport.sink)
        device = Device(config=_configuration(name, own), host=host)
        try:
            async with asyncio.timeout(POWER_ON_TIMEOUT_S):
                with heeding_cancellation():
                    await device.power_on()
        except (OSError, BaseBumbleError) as error:
            raise LinkError(f"no controller answers on {transport!r}: {error}") from error
        try:
            yield device
        finally:
            if not hci_transport.source.terminated.done():
                await _switch_off(device)


async def _switch_off(device: Device) -> None:
    """Leave the controller silent, as far as it can still be reached."""
    try:
        async with asyncio.timeout(POWER_ON_TIMEOUT_S):
            await device.host.send_sync_command(hci.HCI_Reset_Command())
            await device.power_off()
    except (OSError, BaseBumbleError, TimeoutError):
        pass
