"""``python -m tests.bench [--json FILE]``: every measurement there is, printed and kept."""

import argparse
import json
import platform
import sys
from pathlib import Path

from tests.bench import decode

MEASUREMENTS = {"decode": decode.measure}


def main() -> int:
    """Measure, print a table, write JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="file for the figures")
    chosen = parser.parse_args()
    figures = {name: measure() for name, measure in MEASUREMENTS.items()}
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    for name, values in figures.items():
        for what, value in values.items():
            sys.stdout.write(f"{name:10} {what:16} {value:10.3f}\n")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps({"machine": machine, **figures}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
