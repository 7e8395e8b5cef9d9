"""The table at the end: what was asked, what broke, what was found to be wrong."""

from __future__ import annotations

from collections import Counter

from chaos.faults import Storm
from chaos.history import ANSWERED, BROKEN, FAILED, LOST, REFUSED, History
from chaos.load import Load
from chaos.stored import Stored

OUTCOMES = (ANSWERED, REFUSED, FAILED, LOST, BROKEN)
MOST_VIOLATIONS_SHOWN = 60


def table(history: History, storm: Storm, load: Load, stored: Stored, found: list[str]) -> str:
    parts = [
        operations(history),
        faults(storm),
        "\n".join(f"{count:>7}  {what}" for what, count in compared(history, stored).items()),
        violations(found),
        f"{history.count} operations, {len(storm.faults)} faults, {len(found)} violations",
    ]
    if load.gave_up:
        parts.insert(3, "\n".join([f"{len(load.gave_up)} gave up", *load.gave_up[:5]]))
    return "\n\n".join(parts)


def operations(history: History) -> str:
    """Each request that a client sent is one, whatever came of it; those of the checker are not among them."""
    names = sorted({name for name, _ in history.operations})
    lines = [f"{'operation':<26}" + "".join(f"{outcome:>18}" for outcome in OUTCOMES)]
    for name in names:
        counts = "".join(f"{history.operations[name, outcome]:>18}" for outcome in OUTCOMES)
        lines.append(f"{name:<26}{counts}")
    sums: Counter[str] = Counter()
    for (_, outcome), count in history.operations.items():
        sums[outcome] += count
    lines.append(f"{'together':<26}" + "".join(f"{sums[outcome]:>18}" for outcome in OUTCOMES))
    return "\n".join(lines)


def faults(storm: Storm) -> str:
    lines = []
    for name, count in sorted(storm.by_name().items()):
        lasted = [fault.ended - fault.began for fault in storm.faults if fault.name == name]
        lines.append(f"{count:>7}  {name}, {sum(lasted) / count:.1f} s on average")
    return "\n".join(lines)


def compared(history: History, stored: Stored) -> dict[str, int]:
    acked = [write for write in history.writes if write.acked is not None]
    statuses = Counter(run["object"]["status"] for run in stored.rows["runs"])
    claims = sum(run["lease_token"] > 1 for run in stored.rows["runs"])
    loose = {row["blob"] for row in stored.rows["loose"]} & stored.blobs.keys()
    return {
        "acknowledged writes looked for": len(acked),
        "writes whose answer never came": len(history.writes) - len(acked),
        "runs: " + ", ".join(f"{n} {status}" for status, n in sorted(statuses.items())): sum(
            statuses.values()
        ),
        "runs claimed again, after their client's answer or by another copy": claims,
        "statuses that clients were told": len(history.told),
        "streams read": len(history.streams),
        "streams that were whole": sum(stream.is_whole for stream in history.streams),
        "lists read amid the load": len(history.listings),
        "files whose bytes were compared": len(stored.rows["files"]),
        "objects of the bucket that will be deleted once more": len(loose),
        "lists of the API compared with rows": len(stored.told),
    }


def violations(found: list[str]) -> str:
    if not found:
        return "no violations"
    more = len(found) - MOST_VIOLATIONS_SHOWN
    shown = [f"VIOLATION  {what[:600]}" for what in found[:MOST_VIOLATIONS_SHOWN]]
    return "\n".join(shown + ([f"… and {more} more"] if more > 0 else []))
