"""``python -m tests.soak [N]``: N random and mutated frames through the decoder and the pilot.

No exception may come out, whatever a machine says. Ten million by default; the suite runs a small
share of the same.
"""

import random
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bridge.core.decode import CHARACTERISTICS, decode
from bridge.core.errors import DecodeError
from bridge.core.messages import Notification, Phase
from tests.virtual import Walk

FRAMES = 10_000_000
SEEDS = (
    "8c056400010000000000000000ffffff000400",
    "0120000000",
    "00008c00",
    "9f00000000000000000000000000",
    "800201",
    "05c800",
    "0201",
    "01",
    "0601020304",
)
PILOT_TARGETS = (0x2ACD, 0x2ACD, 0x2ACD, 0x2ADA, 0x2AD9, 0x2AD3, 0x2A37)


def mutated(chance: random.Random) -> bytes:
    """A real frame with some octets changed, cut or added; or nothing but noise."""
    if chance.random() < 0.3:
        return chance.randbytes(chance.randrange(40))
    frame = bytearray.fromhex(chance.choice(SEEDS))
    for _ in range(chance.randrange(4)):
        frame[chance.randrange(len(frame))] = chance.randrange(256)
    cut = chance.randrange(len(frame) + 1) if chance.random() < 0.2 else len(frame)
    return bytes(frame[:cut]) + chance.randbytes(chance.randrange(3))


def frames(
    count: int, seed: int, *, on_progress: Callable[[int], None] = lambda _: None
) -> tuple[int, int]:
    """Every frame decoded for people and given to a pilot that walks; (decoded, refused)."""
    chance = random.Random(seed)
    names = sorted(CHARACTERISTICS)
    walk = Walk()
    walk.arm()
    refused = 0
    for number in range(count):
        payload = mutated(chance)
        try:
            decode(chance.choice(names), payload)
        except DecodeError:
            refused += 1
        walk.now_s = round(walk.now_s + 0.05, 6)
        walk.give(Notification(chance.choice(PILOT_TARGETS), payload))
        walk.later.clear()
        if number % 1000 == 0:
            on_progress(number)
        if number % 200 == 0 and walk.pilot.deck.session.phase in {Phase.IDLE, Phase.ENDED}:
            walk = Walk()
            walk.arm()
    return count - refused, refused


def main() -> int:
    """Run, and say how it went."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else FRAMES
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    began_s = time.monotonic()
    with Progress(
        TextColumn("frames"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        task = progress.add_task("frames", total=count)
        decoded, refused = frames(
            count, seed, on_progress=lambda done: progress.update(task, completed=done)
        )
    sys.stdout.write(
        f"{count} frames (seed {seed}): {decoded} decoded, {refused} refused, no exception, "
        f"{time.monotonic() - began_s:.0f} s\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
