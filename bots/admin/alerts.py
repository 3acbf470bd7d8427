"""Channels and messages of alerts, to look at: no address is read."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from bots.admin.base import OfBots, ReadOnly
from bots.models import Alert, AlertChannel, AlertDelivery


@admin.register(AlertChannel)
class Channels(ReadOnly[AlertChannel]):
    list_display = ["hint", "service", "owner", "is_on", "is_confirmed", "failing_since"]
    list_filter = ["service", "is_on", "off_reason"]
    list_select_related = ["owner"]
    search_fields = ["owner__username", "label"]


@admin.register(AlertDelivery)
class Deliveries(ReadOnly[AlertDelivery]):
    list_display = ["created_at", "channel", "kind", "status", "attempts", "fault", "code"]
    list_filter = ["status", "kind", "fault"]
    search_fields = ["channel__owner__username"]
    #: What is told to a user is theirs.
    hidden = ("body",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertDelivery]:
        # Joined rows do not go by their manager, which leaves the address out.
        rows = super().get_queryset(request)
        return rows.select_related("channel").defer("channel__secret_url")


@admin.register(Alert)
class Alerts(OfBots[Alert]):
    list_display = ["at", "owner", "bot", "kind", "reason", "told_at"]
    list_filter = ["kind"]
    list_select_related = ["owner", "bot"]
