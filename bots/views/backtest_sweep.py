"""A sweep's result as its page shows it: heat map or bars, the best sets, and all as CSV."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from bots.backtests import asking, plans, trials
from bots.backtests.asking import Wanted
from bots.backtests.axes import Axis, axes_of, chosen_bot
from bots.backtests.trials import Set
from bots.change import Refusal
from bots.forms.backtest import COSTS, TERMS
from bots.forms.vary import label_of
from bots.models import BacktestRun
from bots.templatetags.performance import share
from bots.templatetags.show import NOTHING, perc, plain_number
from bots.views import exports
from bots.views.backtest_report import Told
from bots.views.backtest_terms import settings_of
from bots.views.common import BUSY, Request, tell_busy
from trading import strategies

#: Sets that are listed with a button each.
LISTED = 10
#: Shades of a figure, and of each side of zero.
SHADES, SIDES = 5, 4
#: How wide the bars are drawn, in units of their own.
WIDE = 200
COLUMNS = ("trades", "wins", "net", "percent", "pnl", "fees", "drawdown", "value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What a heat map may show of a set; `is_signed`: shades tell the sides of zero apart."""

    name: str
    label: str | Promise
    of: Callable[[Set], Decimal | None]
    text: Callable[[Decimal | None], str]
    is_signed: bool = False


def _count(value: Decimal | None) -> str:
    return NOTHING if value is None else str(int(value))


FIGURES = {
    one.name: one
    for one in (
        Figure(
            name="profit",
            label=gettext_lazy("Profit, %"),
            of=lambda one: one.percent,
            text=perc,
            is_signed=True,
        ),
        Figure(
            name="drawdown",
            label=gettext_lazy("Drawdown, %"),
            of=lambda one: one.drawdown_percent,
            text=share,
        ),
        Figure(
            name="trades",
            label=gettext_lazy("Trades"),
            of=lambda one: Decimal(one.trades),
            text=_count,
        ),
        Figure(
            name="wins",
            label=gettext_lazy("Win rate, %"),
            of=lambda one: one.win_rate,
            text=share,
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A set as the map shows it; without one the strategy does not take this combination."""

    text: str = NOTHING
    shade: str = "n"
    is_best: bool = False
    bar: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the map: its value, and a cell for each column."""

    value: object
    cells: Sequence[Cell]


@dataclass(frozen=True, kw_only=True)
class Heat:
    """The sets of a sweep by the numbers that were varied, each with one figure."""

    run: BacktestRun
    found: Sequence[Set]
    figure: Figure

    @cached_property
    def axes(self) -> list[Axis]:
        """What was varied: down, and, with two numbers, across; the shorter goes across."""
        axes = axes_of(self.run)
        if len(axes) == 2 and len(self.values(axes[1])) > len(self.values(axes[0])):
            axes.reverse()
        return axes

    def values(self, axis: Axis) -> list[str]:
        """Return an axis' values that any set has."""
        return trials.axis_values(axis, self.found)

    @property
    def labels(self) -> list[str]:
        """What the axes are called."""
        strategy = strategies.STRATEGIES.get(self.run.strategy)
        return [label_of(strategy, axis.name) for axis in self.axes]

    @property
    def across(self) -> list[object]:
        """The values of the columns; none with one number."""
        return [plain_number(one) for one in self.values(self.axes[1])] if self.is_map else []

    @property
    def is_map(self) -> bool:
        return len(self.axes) == 2

    @cached_property
    def best(self) -> list[Set]:
        """The sets, the most profitable first."""
        return trials.best_first(self.found)

    @cached_property
    def _shades(self) -> "_Shades":
        return _Shades([self.figure.of(one) for one in self.found], self.figure.is_signed)

    def lines(self) -> Iterator[Line]:
        """Yield the rows."""
        names = [axis.name for axis in self.axes]
        sets = {tuple(one.chosen[name] for name in names): one for one in self.found}
        columns = [(value,) for value in self.values(self.axes[1])] if self.is_map else [()]
        for value in self.values(self.axes[0]):
            cells = [self._cell(sets.get((value, *column))) for column in columns]
            yield Line(value=plain_number(value), cells=cells)

    def _cell(self, one: Set | None) -> Cell:
        if one is None:
            return Cell()
        value = self.figure.of(one)
        return Cell(
            text=self.figure.text(value),
            shade=self._shades.of(value),
            is_best=one.number == self.best[0].number,
            bar=self._shades.bar(value),
        )

    @property
    def listed(self) -> Iterator[tuple[Set, list[tuple[str, object]]]]:
        """Yield the best sets, each with what its numbers are called and are."""
        for one in self.best[:LISTED]:
            values = [plain_number(one.chosen[axis.name]) for axis in self.axes]
            yield one, list(zip(self.labels, values, strict=True))


class _Shades:
    """Shades by rank among the sets, so that one far out does not make the rest look alike."""

    def __init__(self, values: Sequence[Decimal | None], is_signed: bool) -> None:
        there = {value for value in values if value is not None}
        self.is_signed = is_signed
        self.up = sorted(value for value in there if value > 0 or not is_signed)
        self.down = sorted(-value for value in there if value < 0 and is_signed)
        self.low = min(min(there, default=Decimal(0)), Decimal(0))
        self.span = max(max(there, default=Decimal(0)), Decimal(0)) - self.low

    def of(self, value: Decimal | None) -> str:
        if value is None or (self.is_signed and not value):
            return "n"
        if not self.is_signed:
            return f"s{self._rank(self.up, value, SHADES)}"
        side, ranked = ("u", self.up) if value > 0 else ("d", self.down)
        return f"{side}{self._rank(ranked, abs(value), SIDES)}"

    @staticmethod
    def _rank(ranked: Sequence[Decimal], value: Decimal, shades: int) -> int:
        return bisect_left(ranked, value) * shades // len(ranked) + 1

    def bar(self, value: Decimal | None) -> tuple[float, float]:
        """Return where the bar of a value begins, and how long it is, of WIDE."""
        if not value or not self.span:
            return 0.0, 0.0
        begin = min(value, Decimal(0)) - self.low
        return round(float(begin / self.span) * WIDE, 1), round(
            float(abs(value) / self.span) * WIDE, 1
        )


def sweep_context(request: Request, run: BacktestRun) -> dict[str, Any]:
    """Return what the page of a sweep shows beside how far it is; `?show=` chooses the figure."""
    settings = _settings(run)
    found = trials.load(run) if run.status == BacktestRun.Status.DONE else None
    if not found:
        return {"settings": settings}
    figure = FIGURES.get(request.GET.get("show", ""), FIGURES["profit"])
    told = Told(run=run)
    heat = Heat(run=run, found=found, figure=figure)
    return {
        "settings": settings,
        "sweep": told,
        "f": told.figures,
        "heat": heat,
        "figures": FIGURES.values(),
        "wide": WIDE,
    }


def _settings(run: BacktestRun) -> list[tuple[str, str]]:
    """Return the settings, those that are varied with from and to."""
    strategy = strategies.STRATEGIES.get(run.strategy)
    varied = []
    for one in run.vary:
        numbers = {name: plain_number(one[name]) for name in ("from", "to", "step")}
        text = _("%(from)s to %(to)s by %(step)s") % numbers
        varied.append((label_of(strategy, one["name"]), text))
    names = {label.lower() for label, _text in varied}
    return [
        *varied,
        *((name, text) for name, text in settings_of(run) if name.lower() not in names),
    ]


def _done(request: Request, pk: int) -> tuple[BacktestRun, list[Set]]:
    run = request.user.backtests.filter(pk=pk, status=BacktestRun.Status.DONE).first()
    found = trials.load(run) if run is not None else None
    if run is None or not found:
        raise Http404
    return run, found


@login_required
@require_POST
def try_set(request: Request, pk: int) -> HttpResponse:
    """Ask for a whole backtest of one set (`set`: its number), on the time of the sweep."""
    run, found = _done(request, pk)
    number = request.POST.get("set", "")
    if not number.isdecimal() or len(number) > 6 or int(number) >= len(found):
        raise Http404
    chosen = found[int(number)].chosen
    draft = chosen_bot(plans.draft_of(run), chosen)
    draft.name = f"{run.name[:50]} ({' / '.join(chosen.values())[:26]})"
    names = (*COSTS, *TERMS)
    costs = {name: Decimal(value) for name, value in run.assumed.items() if name in names}
    wanted = Wanted(since=run.since, until=run.until, **costs)
    try:
        made = asking.ask(request.user, draft, wanted, origin=run.origin, of=run.bot)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    except Refusal as refusal:
        messages.error(request, refusal.message)
    except BUSY as error:
        tell_busy(request, error)
    else:
        return redirect("backtest", pk=made.pk)
    return redirect("backtest", pk=pk)


@login_required
@require_safe
def save(request: Request, pk: int) -> HttpResponse:
    """Send all sets, in the order they were tried."""
    run, found = _done(request, pk)
    names = [axis.name for axis in axes_of(run)]
    rows = (
        [*(Decimal(one.chosen[name]) for name in names), *(getattr(one, name) for name in COLUMNS)]
        for one in found
    )
    return exports.answer(f"backtest-{pk}-sets", (*names, *COLUMNS), rows)
