"""The command ``retrowalk``, also as ``python -m bridge``."""

import sys


def main() -> int:
    """The command. Ctrl-C ends it quietly even while it is still being imported."""
    try:
        from bridge.cli.app import main as command  # noqa: PLC0415 - see above

        return command()
    except KeyboardInterrupt:
        from bridge.cli.exit_codes import INTERRUPTED  # noqa: PLC0415 - see above

        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
