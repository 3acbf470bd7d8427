"""The operators' door: they see bots and states, never secrets, and act by the owner's verbs.

Ledger, states and history are read-only here as everywhere.
"""

from bots.admin import accounts, bots, ledger, operations

__all__ = ["accounts", "bots", "ledger", "operations"]
