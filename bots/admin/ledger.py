"""The ledger, read-only: orders, fills, funding, days, commands, decisions and the paper book."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from bots.admin.base import OfBots, ReadOnly, money
from bots.admin.filters import Door, OfBotOwner, Watching
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


@admin.register(Order)
class Orders(OfBots[Order]):
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
    list_filter = [
        Watching,
        "status",
        "is_settled",
        "side",
        "type",
        "purpose",
        "bot__mode",
        OfBotOwner,
    ]
    exact = ("client_order_id", "exchange_order_id")
    search_help_text = _(
        "A client or exchange order id, a bot's name, number or symbol, its owner's name."
    )


@admin.register(Fill)
class Fills(OfBots[Fill]):
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
    list_filter = ["side", "bot__mode", OfBotOwner]
    exact = ("order__client_order_id",)


@admin.register(Funding)
class Fundings(OfBots[Funding]):
    list_display = ["at", "bot", "symbol", money(Funding, "amount"), "trading_day"]
    list_filter = ["bot__mode", OfBotOwner]


@admin.register(DayStats)
class Days(OfBots[DayStats]):
    list_display = [
        "day",
        "bot",
        money(DayStats, "pnl"),
        money(DayStats, "fees"),
        "trades",
        "closed_at",
    ]
    list_filter = [("closed_at", admin.EmptyFieldListFilter), OfBotOwner]


@admin.register(Decision)
class Decisions(OfBots[Decision]):
    list_display = ["last_at", "bot", "action", "gate", "count", "message"]
    list_filter = ["action", OfBotOwner]


@admin.register(Command)
class Commands(OfBots[Command]):
    list_display = ["created_at", "bot", "kind", "status", "result", "by", "via"]
    list_filter = ["status", "kind", Door]
    list_select_related = ["bot", "by"]


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
