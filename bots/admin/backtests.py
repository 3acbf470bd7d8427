"""Backtests, to look at: what was asked for, how far it is, and what it came to."""

from django.contrib import admin

from bots.admin.base import ReadOnly
from bots.models import BacktestData, BacktestRun


@admin.register(BacktestRun)
class Backtests(ReadOnly[BacktestRun]):
    list_display = ["name", "owner", "status", "fault", "progress", "created_at", "ended_at"]
    list_filter = ["status", "fault", "kind"]
    list_select_related = ["owner"]
    search_fields = ["name", "owner__username"]


@admin.register(BacktestData)
class Orders(ReadOnly[BacktestData]):
    list_display = ["run"]
    list_select_related = ["run"]
    hidden = ("packed",)
