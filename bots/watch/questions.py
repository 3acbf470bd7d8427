"""Which rows need an operator's look: each question once, for tiles, lists and the status page."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from bots.lifecycle import Status
from bots.models import (
    ApiKey,
    BotState,
    Comparison,
    Gauge,
    Inspection,
    Order,
    Silence,
    Transfer,
)
from bots.models.state import Protection
from bots.watch import conditions


@dataclass(frozen=True, kw_only=True)
class Question:
    """`where` narrows `model` to the rows in question, at an instant.

    `title` stands on tiles and filters, `text` says what counts. `is_grave`: money may be at risk.
    """

    name: str
    model: type[Model]
    title: Any
    text: Any
    where: Callable[[datetime], Q]
    is_grave: bool = True

    def rows(self, now: datetime) -> QuerySet[Any]:
        """Return the rows that need a look now."""
        return self.model._default_manager.filter(self.where(now))


QUESTIONS: tuple[Question, ...] = (
    Question(
        name="stuck",
        model=BotState,
        title=_("Stuck ticks"),
        text=_("A tick began longer ago than its lease lasts, and nobody closed it."),
        where=conditions.stuck,
    ),
    Question(
        name="late",
        model=BotState,
        title=_("Late bots"),
        text=_("No tick for three intervals."),
        where=conditions.late,
    ),
    Question(
        name="behind",
        model=BotState,
        title=_("Late ticks"),
        text=_("A tick is overdue by half an interval: the workers are behind."),
        where=conditions.behind,
        is_grave=False,
    ),
    Question(
        name="unwatched",
        model=BotState,
        title=_("Unwatched positions"),
        text=_("No tick acts on the stop, or none saw a price for two intervals."),
        where=conditions.unwatched,
    ),
    Question(
        name="unprotected",
        model=BotState,
        title=_("Failed protections"),
        text=_("The stop could not be placed at the exchange; ticks watch it meanwhile."),
        where=lambda _now: Q(in_position=True, protection=Protection.FAILED),
    ),
    Question(
        name="unknown",
        model=Order,
        title=_("Unknown orders"),
        text=_("Sent over a minute ago, and the exchange has not said what became of it."),
        where=conditions.unknown,
    ),
    Question(
        name="unsettled",
        model=Order,
        title=_("Unsettled orders"),
        text=_("Ended over ten minutes ago, and not every fill is booked."),
        where=conditions.unsettled,
    ),
    Question(
        name="drift",
        model=Comparison,
        title=_("Drift"),
        text=_("The newest comparison found that exchange and ledger differ."),
        where=lambda _now: Q(ok=False),
    ),
    Question(
        name="uncompared",
        model=BotState,
        title=_("Positions not compared"),
        text=_("No comparison has confirmed a real position for three of its turns."),
        where=conditions.uncompared,
        is_grave=False,
    ),
    Question(
        name="keys",
        model=ApiKey,
        title=_("Failing keys"),
        text=_("Refused by the exchange or by us, or not checked for too long."),
        where=conditions.keys,
    ),
    Question(
        name="silences",
        model=Silence,
        title=_("Silences"),
        text=_("An exchange asked for silence, or a limit is nearly used up."),
        where=lambda now: Q(until__gt=now),
        is_grave=False,
    ),
    Question(
        name="budgets",
        model=Gauge,
        title=_("Rate budgets nearly used up"),
        text=_("Over four fifths of what an exchange allows an address or an account is used."),
        where=conditions.budgets,
        is_grave=False,
    ),
    Question(
        name="clocks",
        model=Gauge,
        title=_("Clocks apart"),
        text=_("An exchange's clock and ours are more than a second apart."),
        where=conditions.clocks,
    ),
    Question(
        name="violations",
        model=Inspection,
        title=_("Violated invariants"),
        text=_("Passes of the last day that found something which must never be."),
        where=lambda now: Q(begun_at__gt=now - timedelta(days=1), violations__gt=0),
    ),
    Question(
        name="errors",
        model=BotState,
        title=_("Bots in error"),
        text=_("Switched off by a fatal error, or held up for three ticks or since the start."),
        where=lambda _now: Q(status=Status.ERROR),
        is_grave=False,
    ),
    Question(
        name="overdue",
        model=BotState,
        title=_("Days overdue"),
        text=_("The trading day ended over two minutes ago and was not rolled over."),
        where=conditions.overdue,
    ),
    Question(
        name="transfers",
        model=Transfer,
        title=_("Unknown transfers"),
        text=_("Funds were moved between wallets and the answer was lost."),
        where=lambda _now: Q(status=Transfer.Status.UNKNOWN),
        is_grave=False,
    ),
)


def of_model(model: type[Model]) -> list[Question]:
    """Return the questions about rows of a model."""
    return [question for question in QUESTIONS if question.model is model]


def find(name: str) -> Question:
    """Return the question of that name; KeyError if there is none."""
    return {question.name: question for question in QUESTIONS}[name]
