"""Signals from outside, to look at; never their secrets."""

from django.contrib import admin

from bots.admin.base import ReadOnly
from bots.models import Hook, SignalIn


@admin.register(Hook)
class Hooks(ReadOnly[Hook]):
    list_display = ["name", "bot", "created_at"]
    list_select_related = ["bot"]
    search_fields = ["name", "bot__name"]
    hidden = ("secret",)


@admin.register(SignalIn)
class Signals(ReadOnly[SignalIn]):
    list_display = ["received_at", "bot", "said", "status", "result", "command"]
    list_select_related = ["bot", "command"]
    list_filter = ["status", "result"]
    search_fields = ["bot__name"]
