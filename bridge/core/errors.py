"""The error tree: who is at fault, and so what the caller can do.

    BridgeError
    ├── LinkError           the radio: try again
    ├── DecodeError         the machine sent bytes that mean nothing
    ├── ProfileError        a profile or program file is wrong (exit 2)
    ├── ConfigError         a setting is wrong (exit 2)
    ├── CaptureError        a capture file is wrong (exit 2)
    └── StoreError          the record on disk cannot be read or written

A refusal by the governor is a value (`messages.Reason`), never an exception.
"""


class BridgeError(Exception):
    """Anything this project raises on purpose."""


class LinkError(BridgeError):
    """The Bluetooth link failed; trying again may help."""


class DecodeError(BridgeError):
    """The payload is empty or hopeless; nothing in it can be used."""


class ProfileError(BridgeError):
    """A profile file is wrong; the message names file, line, key and what is allowed."""


class ConfigError(BridgeError):
    """A setting is wrong; the message names file, key, value and what is allowed."""


class CaptureError(BridgeError):
    """A capture file is wrong or cut short; the message names file and line."""


class StoreError(BridgeError):
    """The session record cannot be read or written."""
