"""The chaos test: `python -m chaos --help`.

Three copies over one PostgreSQL and one bucket, users with the official SDK, and a storm of faults. Once
enough has been asked and broken everything is healed; when it has come to rest, what clients were told is
compared with what is stored. It exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from chaos.drill import Wanted, drill
from chaos.load import USERS
from chaos.world import World

# Threads take turns often, so that what waits for an answer of milliseconds gets its turn.
SWITCH_SECONDS = 0.0005


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description="Breaks three copies under load.")
    parser.add_argument("--operations", type=int, default=20_000, help="at least so many requests")
    parser.add_argument("--faults", type=int, default=200, help="and at least so many faults")
    parser.add_argument("--minutes", type=float, default=20.0, help="but no longer than this")
    parser.add_argument("--users", type=int, default=USERS, help="programs at once")
    parser.add_argument("--seed", type=int, help="of everything that is drawn; else by chance")
    parser.add_argument("--keep", type=Path, help="a folder for logs and a journal of all requests")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    sys.setswitchinterval(SWITCH_SECONDS)
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10_000)
    print(f"seed {seed}", flush=True)
    wanted = Wanted(chosen.operations, chosen.faults, chosen.minutes, chosen.users, seed)
    world = World(seed, chosen.keep)
    try:
        outcome = drill(world, wanted, chosen.keep / "journal.jsonl" if chosen.keep else None)
    finally:
        world.stop()
    print(f"{outcome.table()} in {outcome.history.now():.0f} s, seed {seed}")
    if not outcome.is_enough:
        print("That is less than was wanted.")
    return 0 if outcome.is_enough and not outcome.violations else 1


if __name__ == "__main__":
    sys.exit(main())
