"""Acts on chosen rows: a page that says what will happen and asks why, then each row by itself.

Nothing is written here but the admin's log; what an act does is a verb of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import ModelAdmin
from django.db import OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from bots import schedule
from bots.change import Refusal
from bots.models import Outpaced, User

VIA = "admin"
#: How many rows one act takes.
LIMIT = 500
OUTPACED = gettext_noop("The bot changed at the same time: look again.")
BUSY = gettext_noop("The site is busy. Try again.")


@dataclass(frozen=True, kw_only=True)
class Act:
    """What may be done with a row, and what is said of it.

    `run` gets the row, who asks and why; it returns whether anything changed, and raises Refusal
    where it cannot be done. `foresee` says beforehand what will become of each row. `done` is the
    log's text, English, translated where it is read. `permission`: what the operator needs.
    `leaves`: whether a row would be left with something (a position) that is to be asked about.
    """

    name: str
    title: Any
    done: str
    run: Callable[[Any, User, str], bool]
    foresee: Callable[[Sequence[Any]], list[str]]
    permission: str = "operate"
    leaves: Callable[[Any], bool] | None = None


def each(foresee: Callable[[Any], str]) -> Callable[[Sequence[Any]], list[str]]:
    """Return a foreseer of many rows from one of a single row."""
    return lambda rows: [foresee(row) for row in rows]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row on the page: what will happen, or what happened (`kind`: done, same, refused)."""

    row: Any
    text: str
    kind: str = ""
    leaves: bool = False


class Why(forms.Form):
    """The reason that every act needs."""

    why = forms.CharField(
        label=_("Reason"),
        max_length=300,
        help_text=_("Kept with the bot's history, where its owner reads it, and in the log here."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "class": "vTextField"}),
    )


class Acting(ModelAdmin[Any]):
    """Offers `acts` on a list. `subjects` are what the chosen rows stand for."""

    acts: Sequence[Act] = ()

    def subjects(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return what is acted on: the rows themselves, or the bots behind them."""
        return rows

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer each act to operators who may do it."""
        actions: dict[str, Any] = dict(super().get_actions(request))
        for act in self.acts:
            if getattr(self, f"has_{act.permission}_permission")(request):
                actions[act.name] = (_action(act), act.name, act.title)
        return actions

    def ask_or_do(self, request: HttpRequest, rows: QuerySet[Any], act: Act) -> HttpResponse | None:
        """Ask for a reason and tell what will happen; with a reason, do it and tell what did."""
        chosen = list(self.subjects(rows).order_by("pk")[: LIMIT + 1])
        if len(chosen) > LIMIT:
            text = gettext("At most %d at once: narrow the list.") % LIMIT
            self.message_user(request, text, messages.ERROR)
            return None
        form = Why(request.POST if "confirmed" in request.POST else None)
        if not form.is_valid():
            texts = act.foresee(chosen)
            lines = [
                Line(row=row, text=text, leaves=act.leaves is not None and act.leaves(row))
                for row, text in zip(chosen, texts, strict=True)
            ]
            return self._page(request, act, lines, form=form)
        why = form.cleaned_data["why"]
        with schedule.together():
            lines = [self._do(request, act, row, why) for row in chosen]
        return self._page(request, act, lines, done=sum(line.kind == "done" for line in lines))

    def _do(self, request: HttpRequest, act: Act, row: Any, why: str) -> Line:
        told = request.POST.getlist("leaves")
        if act.leaves is not None and act.leaves(row) and str(row.pk) not in told:
            text = gettext("It opened a position meanwhile: choose what becomes of it.")
            return Line(row=row, text=text, kind="refused")
        try:
            changed = act.run(row, cast("User", request.user), why)
        except Refusal as refusal:
            return Line(row=row, text=refusal.message, kind="refused")
        except Outpaced:
            return Line(row=row, text=gettext(OUTPACED), kind="refused")
        except OperationalError:
            return Line(row=row, text=gettext(BUSY), kind="refused")
        if not changed:
            return Line(row=row, text=gettext("Nothing was to be done."), kind="same")
        self.log_change(request, row, f"{act.done}\n{why}")
        return Line(row=row, text=gettext(act.done), kind="done")

    def _page(self, request: HttpRequest, act: Act, lines: list[Line], **more: Any) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": act.title,
            "act": act,
            "lines": lines,
            "opts": self.opts,
            "kind": chosen_kind(lines),
            # The very rows that were shown: what the filter finds may have changed meanwhile.
            "checkbox": ACTION_CHECKBOX_NAME,
            "media": self.media,
            **more,
        }
        return TemplateResponse(request, "admin/act.html", context)


def chosen_kind(lines: Sequence[Line]) -> Any:
    """Return what the rows of these lines are called."""
    return lines[0].row._meta.verbose_name if lines else ""


def _action(act: Act) -> Callable[[Acting, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    def choose(
        model_admin: Acting, request: HttpRequest, rows: QuerySet[Any]
    ) -> HttpResponse | None:
        return model_admin.ask_or_do(request, rows, act)

    choose.__name__ = act.name
    return choose


def reading(text: str) -> str:
    """Return a log entry as people read it: what was done in their language, then the reason."""
    done, _, why = text.partition("\n")
    known = gettext(done) if done else ""
    return f"{known} ({why})" if why else known
