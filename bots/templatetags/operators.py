"""What the admin's first page and the status page show of bots.watch."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import template
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from bots.templatetags.show import number
from bots.watch import QUESTIONS, Question

register = template.Library()


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A question, how many rows it finds, and the address of the list that shows them."""

    question: Question
    count: int
    url: str

    @property
    def kind(self) -> str:
        """How the tile looks: calm, waiting or error."""
        if not self.count:
            return "calm"
        return "error" if self.question.is_grave else "waiting"


@register.filter
def seconds(value: float) -> str:
    """Write how long something took: 240 ms, 1.3 s."""
    if value < 1:
        return f"{number(Decimal(str(value * 1000)), 0)} ms"
    return f"{number(Decimal(str(value)), 1)} s"


@register.filter
def calm(asked: Iterable[Any]) -> int:
    """Return how many questions found nothing."""
    return sum(not one.count for one in asked)


@register.simple_tag
def tiles(request: HttpRequest) -> list[Tile]:
    """Return a tile for each question about rows that this operator may see."""
    now = timezone.now()
    found = []
    for question in QUESTIONS:
        opts: Any = question.model._meta
        shown = admin.site._registry[question.model]
        if not shown.has_view_permission(request):
            continue
        address = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
        found.append(
            Tile(
                question=question,
                count=question.rows(now).count(),
                url=f"{address}?watch={question.name}",
            )
        )
    return found
