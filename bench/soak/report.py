"""The report of a soak, in Markdown."""

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Results:
    """What a soak came to; durations in seconds."""

    seed: int
    minutes: float
    bots: int
    machine: str
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    clicks: Counter[int] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)
    posts: int = 0
    fills: int = 0
    perpetuals: Mapping[str, int] = field(default_factory=dict)
    ticks: int = 0
    healed_after: float = 0
    watched: Mapping[str, list[float]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


def markdown(results: Results) -> str:
    """Return the report."""
    lines = [*_setting(results), *_counts(results), *_recoveries(results)]
    if results.violations:
        lines += ["## Violations", "", *(f"- {text}" for text in results.violations), ""]
    return "\n".join(lines)


def _setting(r: Results) -> list[str]:
    """What was run, where, and whether it held."""
    return [
        "# Soak",
        "",
        f"`SOAK_MINUTES={r.minutes:g} SOAK_BOTS={r.bots} SOAK_SEED={r.seed} make soak`",
        "",
        f"{r.machine}.",
        "PostgreSQL with fsync on, real times, an interval of 5 s; the exchange is a test exchange",
        "on loopback. The seed chooses kills, faults, prices and clicks; which tick",
        "they meet is up to the machine: another run of a seed is a soak of the same kind.",
        "",
        f"Violations: **{len(r.violations)}**.",
        f"Kills: {r.kills.total()}, orders: {r.orders.total()}.",
        "",
    ]


def _counts(r: Results) -> list[str]:
    """How much went on."""
    clicks = {str(code or "by nobody"): count for code, count in sorted(r.clicks.items())}
    return [
        "| What | How often |",
        "|---|---|",
        f"| ticks that began | {r.ticks} |",
        f"| order requests that reached the exchange | {r.posts} |",
        f"| fills booked | {r.fills} |",
        *(f"| perpetuals: {name} | {count} |" for name, count in r.perpetuals.items()),
        *(f"| orders: {name} | {count} |" for name, count in sorted(r.orders.items())),
        *(f"| kill: {name} | {count} |" for name, count in sorted(r.kills.items())),
        *(f"| fault: {name} | {count} |" for name, count in sorted(r.faults.items())),
        *(f"| clicks answered {code} | {count} |" for code, count in clicks.items()),
        "",
    ]


def _recoveries(r: Results) -> list[str]:
    """How soon all was well again after each kind of blow."""
    return [
        "Seconds until every bot with duty was ticked again:",
        "",
        "| After | Times | Median | Longest |",
        "|---|---|---|---|",
        *(
            f"| {kind} | {len(times)} | {statistics.median(times):.1f} | {max(times):.1f} |"
            for kind, times in sorted(r.watched.items())
        ),
        "",
        f"All orders were settled {r.healed_after:.0f} s after the last fault had ended.",
        "",
    ]
