"""Signs of life, silences, known markets, and who did what in this admin."""

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.utils.translation import gettext_lazy as _

from bots.admin.acts import reading
from bots.admin.base import ReadOnly, money
from bots.admin.filters import Watching
from bots.models import (
    Gauge,
    Heartbeat,
    Inspection,
    Market,
    Silence,
    StoredCandles,
    TickTimes,
    Watch,
)


@admin.register(Heartbeat)
class Heartbeats(ReadOnly[Heartbeat]):
    list_display = ["name", "at", "note"]


@admin.register(Silence)
class Silences(ReadOnly[Silence]):
    list_display = ["scope", "quiet", "account", "until", "why"]
    list_filter = [Watching, "quiet"]
    search_fields = ["scope", "why"]
    ordering = ["-until"]


@admin.register(Gauge)
class Gauges(ReadOnly[Gauge]):
    list_display = ["scope", "kind", "what", "account", "value", "most", "at", "ends_at"]
    list_filter = [Watching, "kind"]
    list_select_related = ["account"]
    search_fields = ["scope", "account__label", "account__owner__username"]


@admin.register(TickTimes)
class Times(ReadOnly[TickTimes]):
    list_display = ["minute", "process", "ticks", "slowest"]

    @admin.display(description=_("ticks"))
    def ticks(self, times: TickTimes) -> int:
        """Return how many ticks that process made in that minute."""
        return sum(times.counts)


@admin.register(Inspection)
class Inspections(ReadOnly[Inspection]):
    list_display = ["begun_at", "ended_at", "bots", "violations"]
    list_filter = [Watching]


@admin.register(Market)
class Markets(ReadOnly[Market]):
    list_display = [
        "symbol",
        "exchange",
        "mode",
        "is_tradable",
        money(Market, "min_notional"),
        money(Market, "taker_fee"),
        "as_of",
    ]
    list_filter = ["exchange", "mode", "is_tradable"]
    search_fields = ["symbol"]


@admin.register(StoredCandles)
class CandlesOfMarkets(ReadOnly[StoredCandles]):
    list_display = ["symbol", "timeframe", "exchange", "mode", "count", "updated_at"]
    list_filter = ["exchange", "mode", "timeframe"]
    search_fields = ["symbol"]
    hidden = ("data",)


@admin.register(Watch)
class Watches(ReadOnly[Watch]):
    list_display = ["user", "market"]
    list_select_related = ["user", "market"]
    search_fields = ["user__username", "market__symbol"]


@admin.register(LogEntry)
class Log(ReadOnly[LogEntry]):
    list_display = ["action_time", "user", "content_type", "object_repr", "what"]
    list_filter = ["action_flag"]
    list_select_related = ["user", "content_type"]
    search_fields = ["object_repr", "user__username"]

    @admin.display(description=_("what was done"))
    def what(self, entry: LogEntry) -> str:
        """Return the stored English in the reader's language."""
        return reading(entry.get_change_message())
