"""The operators' door: they see bots and states, never secrets, and act by the owner's verbs.

Its first page tells what needs a look (bots.watch). Ledger, states and history are read-only here
as everywhere.
"""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from bots.admin import (
    accounts,
    alerts,
    backtests,
    bots,
    ledger,
    operations,
    signals,
    templates,
    users,
)

__all__ = [
    "accounts",
    "alerts",
    "backtests",
    "bots",
    "ledger",
    "operations",
    "signals",
    "templates",
    "users",
]

admin.site.site_header = admin.site.site_title = _("Botsite administration")
