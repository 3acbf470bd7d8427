"""The ledger, read-only: orders, fills, funding, days, commands, decisions and the paper book."""

from django.contrib import admin

from bots.admin.base import ReadOnly, money
from bots.models import (
    Command,
    DayStats,
    Decision,
    Fill,
    Funding,
    Order,
    PaperBalance,
    PaperOrder,
)

BotOwner = ("bot__owner", admin.RelatedOnlyFieldListFilter)
SEARCH = ["bot__name", "bot__owner__username"]


@admin.register(Order)
class Orders(ReadOnly[Order]):
    list_display = [
        "client_order_id",
        "bot",
        "symbol",
        "side",
        "type",
        "purpose",
        money(Order, "amount"),
        money(Order, "filled"),
        money(Order, "average"),
        "status",
        "is_settled",
        "reason",
        "created_at",
    ]
    list_filter = ["status", "is_settled", "side", "type", "purpose", "bot__mode", BotOwner]
    list_select_related = ["bot"]
    search_fields = ["client_order_id", "exchange_order_id", "symbol", *SEARCH]


@admin.register(Fill)
class Fills(ReadOnly[Fill]):
    list_display = [
        "trade_id",
        "bot",
        "symbol",
        "side",
        money(Fill, "price"),
        money(Fill, "amount"),
        money(Fill, "fee"),
        "fee_currency",
        money(Fill, "realized_pnl"),
        "at",
        "trading_day",
    ]
    list_filter = ["side", "bot__mode", BotOwner]
    list_select_related = ["bot"]
    search_fields = ["trade_id", "order__client_order_id", "symbol", *SEARCH]


@admin.register(Funding)
class Fundings(ReadOnly[Funding]):
    list_display = ["at", "bot", "symbol", money(Funding, "amount"), "trading_day"]
    list_filter = ["bot__mode", BotOwner]
    list_select_related = ["bot"]
    search_fields = ["funding_id", "symbol", *SEARCH]


@admin.register(DayStats)
class Days(ReadOnly[DayStats]):
    list_display = [
        "day",
        "bot",
        money(DayStats, "pnl"),
        money(DayStats, "fees"),
        "trades",
        "closed_at",
    ]
    list_filter = [("closed_at", admin.EmptyFieldListFilter), BotOwner]
    list_select_related = ["bot"]
    search_fields = SEARCH


@admin.register(Decision)
class Decisions(ReadOnly[Decision]):
    list_display = ["last_at", "bot", "action", "gate", "count", "message"]
    list_filter = ["action", BotOwner]
    list_select_related = ["bot"]
    search_fields = ["gate", *SEARCH]


@admin.register(Command)
class Commands(ReadOnly[Command]):
    list_display = ["created_at", "bot", "kind", "status", "result", "by", "via"]
    list_filter = ["status", "kind", "via"]
    list_select_related = ["bot", "by"]
    search_fields = SEARCH


@admin.register(PaperBalance)
class PaperBalances(ReadOnly[PaperBalance]):
    list_display = ["account", "currency", money(PaperBalance, "units")]
    list_select_related = ["account"]
    search_fields = ["account__label", "account__owner__username", "currency"]


@admin.register(PaperOrder)
class PaperOrders(ReadOnly[PaperOrder]):
    list_display = ["client_order_id", "account", "created_at"]
    list_select_related = ["account"]
    search_fields = ["client_order_id", "account__owner__username"]
