"""Random schedules over the tick, in process: kills, freezes, faults, clicks and clocks.

One schedule is one Hypothesis example: four spot bots of one account, two of them with ladders,
and a futures bot of another on scripted exchanges, some steps in any order, and after each of them
everything that must always hold. At its end the faults go, the bots tick on, and the ledger must
be what the exchanges really did.

`pytest tests/level_a` runs a share of them; `python -m tests.level_a 10000` runs as many as asked.
"""
