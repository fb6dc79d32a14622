"""How a command ends (contract section 1): the one place where errors become numbers."""

from bridge.core.errors import (
    BridgeError,
    CaptureError,
    ConfigError,
    DecodeError,
    LinkError,
    ProfileError,
)

DONE = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
REFUSED = 4
INTERRUPTED = 130


class UsageError(BridgeError):
    """The command line itself is wrong; the message says what is allowed."""


_CODES: tuple[tuple[type[BridgeError], int], ...] = (
    (UsageError, USAGE),
    (ConfigError, USAGE),
    (ProfileError, USAGE),
    (DecodeError, USAGE),
    (CaptureError, USAGE),
    (LinkError, UNREACHABLE),
)


def exit_code(error: BridgeError) -> int:
    """The exit code for anything this project raises on purpose."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


def leading_error(group: BaseExceptionGroup[BaseException]) -> BridgeError | None:
    """The error of ours inside a task group's; ``None`` when the group holds something else too.

    A bug beside a lost link must show its traceback, so only a group of ours alone has a leader.
    """
    errors: list[BridgeError] = []
    for error in group.exceptions:
        inner = leading_error(error) if isinstance(error, BaseExceptionGroup) else error
        if not isinstance(inner, BridgeError):
            return None
        errors.append(inner)
    return errors[0]
