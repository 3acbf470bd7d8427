"""The first steps of a new user: what is done is read from what there is, nothing is ticked off."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from bots.models import ApiKey, BotConfig, User
from bots.views.common import Request

#: Fills the form of a new bot in, all of it: play money on the simulated market.
FIRST = "?preset=careful&first=1"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: what to do, why, and the page on which it is done."""

    title: str
    text: str
    url: str
    is_done: bool
    is_optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Checklist:
    """The steps in their order."""

    steps: tuple[Step, ...]

    @property
    def needed(self) -> list[Step]:
        return [step for step in self.steps if not step.is_optional]

    @property
    def done(self) -> int:
        return sum(step.is_done for step in self.needed)

    @property
    def next(self) -> Step | None:
        """The first step that is not done."""
        return next((step for step in self.needed if not step.is_done), None)


def checklist(user: User, bots: Iterable[BotConfig]) -> Checklist | None:
    """Return a user's first steps, or None once they are done or put away.

    `bots`: the user's, states at hand. One query, and none where there is nothing to show.
    """
    if user.hides_first_steps:
        return None
    found = Checklist(steps=(*_with_bots(sorted(bots, key=lambda bot: bot.pk)), _zone(user)))
    if found.next is None:
        return None
    return Checklist(steps=(*found.steps, _key(user)))


def _with_bots(bots: list[BotConfig]) -> tuple[Step, ...]:
    started = [bot for bot in bots if bot.state_or_none is not None]
    first = next(iter(started or bots), None)

    def page(name: str) -> str:
        return reverse(name, args=[first.pk]) if first else reverse("bot-new") + FIRST

    return (
        Step(
            title=_("Make a paper bot"),
            text=_("Play money, no key. A preset fills in sensible limits."),
            url=reverse("bot-new") + ("" if bots else FIRST),
            is_done=bool(bots),
        ),
        Step(
            title=_("Start it"),
            text=_("One click on its page. You can stop it at any time."),
            url=page("bot"),
            is_done=bool(started),
        ),
        Step(
            title=_("Read its first decision"),
            text=_("Each tick says why the bot traded or did not, with the numbers."),
            url=page("bot-decisions"),
            is_done=any(bot.state.decision_id is not None for bot in started),
        ),
        Step(
            title=_("Set a daily loss limit"),
            text=_("A bot that lost so much rests until the next trading day."),
            url=page("bot-settings"),
            is_done=any(bot.max_daily_loss_perc is not None for bot in bots),
        ),
    )


def _zone(user: User) -> Step:
    return Step(
        title=_("Choose your time zone"),
        text=_("Your trading day ends at its midnight, and all times are shown in it."),
        url=reverse("profile"),
        is_done=bool(user.time_zone),
    )


def _key(user: User) -> Step:
    return Step(
        title=_("Add an exchange key"),
        text=_("Only for testnet and live. It may trade, never withdraw."),
        url=reverse("keys"),
        is_done=ApiKey.objects.filter(account__owner=user).exists(),
        is_optional=True,
    )


@login_required
@require_POST
def put_away(request: Request) -> HttpResponse:
    """Put the reader's first steps away, or (`show`) bring them back to the dashboard."""
    hides = "show" not in request.POST
    User.objects.filter(pk=request.user.pk).update(hides_first_steps=hides)
    if hides:
        messages.info(request, _("The first steps are put away. The help page brings them back."))
    return redirect("dashboard")
