"""Random schedules over the tick, in process: kills, freezes, faults, clicks and clocks.

One schedule is one Hypothesis example: bots of one account on a scripted exchange, some steps in
any order, and after each of them everything that must always hold. At its end the faults go, the
bots tick on, and the ledger must be what the exchange really did.

`pytest tests/level_a` runs a share of them; `python -m tests.level_a 10000` runs as many as asked.
"""
