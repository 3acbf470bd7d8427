"""Backtests of what users own: a bot's, a template's or other settings, tried on the past.

`plans.py` makes settings a plan (`perpetuals.py`: on which terms), `past.py` knows where candles
are, `asking.py` holds the owner's verbs, `running.py` is the worker's side, `results.py` what is
kept of one.
"""
