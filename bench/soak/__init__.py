"""A soak: the whole platform for some time under kills, faults and clicks; then the comparison.

`make soak` with SOAK_MINUTES (30), SOAK_BOTS (20), SOAK_SEED (random) and SOAK_REPORT (a file).
"""
