"""Signs of life, known markets, and who did what in this admin."""

from django.contrib import admin
from django.contrib.admin.models import LogEntry

from bots.admin.base import ReadOnly, money
from bots.models import Heartbeat, Market


@admin.register(Heartbeat)
class Heartbeats(ReadOnly[Heartbeat]):
    list_display = ["name", "at", "note"]


@admin.register(Market)
class Markets(ReadOnly[Market]):
    list_display = [
        "symbol",
        "exchange",
        "mode",
        "is_tradable",
        money("min_notional"),
        money("taker_fee"),
        "as_of",
    ]
    list_filter = ["exchange", "mode", "is_tradable"]
    search_fields = ["symbol"]


@admin.register(LogEntry)
class Log(ReadOnly[LogEntry]):
    list_display = ["action_time", "user", "content_type", "object_repr", "change_message"]
    list_filter = ["action_flag"]
    list_select_related = ["user", "content_type"]
    search_fields = ["object_repr", "user__username"]
