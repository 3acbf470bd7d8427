"""Templates of bots, to look at."""

from django.contrib import admin

from bots.admin.base import ReadOnly
from bots.models import BotTemplate


@admin.register(BotTemplate)
class Templates(ReadOnly[BotTemplate]):
    list_display = ["name", "owner", "updated_at"]
    list_select_related = ["owner"]
    search_fields = ["name", "owner__username"]
