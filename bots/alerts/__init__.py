"""Alerts: what happened is found in rows, worded, and sent by a process of its own.

A tick knows nothing of it: alerts are derived from what ticks and verbs write anyway, so no channel
can slow a tick, fail its transaction or be forgotten by a new door.

    rows -> scan -> Alert -> plan (quiet hours, storms) -> AlertDelivery -> delivery -> courier

Imports nothing here: `courier` is a program without Django, and the only one with apprise.
"""
