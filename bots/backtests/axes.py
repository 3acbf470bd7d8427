"""What a sweep varies: numbers of a strategy, or its stop and target, each from, to, by a step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from bots.models import BacktestRun, BotConfig, validity
from bots.models.fields import plain
from trading.backtest import Plan
from trading.backtest.sets import SETTINGS, Chosen, combined, params_of, settings_of
from trading.strategies import Param, ParamErrors, Strategy

#: What a heat map has room for.
MOST_AXES = 2
#: Settings go by this where nothing else is said.
STEP = Decimal("0.5")
NUMBERS = ("int", "decimal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One number that is varied; `low` and, where a step comes to it, `high` are tried."""

    name: str
    low: Decimal
    high: Decimal
    step: Decimal

    @property
    def count(self) -> int:
        """How many values it has; 0 where the numbers make no sense."""
        numbers = (self.low, self.high, self.step)
        if not all(one.is_finite() and abs(one) < 10**12 for one in numbers):
            return 0
        if self.step <= 0 or self.high < self.low:
            return 0
        return int((self.high - self.low) / self.step) + 1

    def values(self) -> list[str]:
        """Return the values as text, the lowest first."""
        return [plain(self.low + self.step * number) for number in range(self.count)]

    def told(self) -> dict[str, str]:
        """Return it as a run keeps it."""
        numbers = {"from": self.low, "to": self.high, "step": self.step}
        return {"name": self.name, **{name: plain(value) for name, value in numbers.items()}}


def axes_of(run: BacktestRun) -> list[Axis]:
    """Return what a run varies, in the order it was asked for."""
    return [
        Axis(
            name=one["name"],
            low=Decimal(one["from"]),
            high=Decimal(one["to"]),
            step=Decimal(one["step"]),
        )
        for one in run.vary
    ]


def numeric(strategy: Strategy) -> Iterator[Param]:
    """Yield those parameters of a strategy that a sweep may vary, beside SETTINGS."""
    return (param for param in strategy.params if param.type in NUMBERS)


def usual_step(strategy: Strategy | None, name: str) -> Decimal:
    """Return the step of a number where none is given: 1 for whole ones, else STEP."""
    params = {param.name: param for param in strategy.params} if strategy else {}
    return Decimal(1) if name in params and params[name].type == "int" else STEP


def varied(axes: Sequence[Axis]) -> dict[str, list[str]]:
    """Return the values of each number that is varied."""
    return {axis.name: axis.values() for axis in axes}


def chosen_bot(bot: BotConfig, chosen: Chosen) -> BotConfig:
    """Set an unsaved bot to one set of a sweep, and return it."""
    for name, value in settings_of(chosen).items():
        setattr(bot, name, value)
    bot.params = {**bot.params, **params_of(chosen)}
    return bot


def check_axes(plan: Plan, axes: Sequence[Axis]) -> None:
    """Raise a ValidationError for `vary` if a worker could not try these."""
    known = {param.name for param in numeric(plan.strategy)} | set(SETTINGS)
    names = [axis.name for axis in axes]
    if len(axes) > MOST_AXES or len(set(names)) < len(names):
        raise _wrong(_("Vary one number, or two that differ."))
    count = 1
    for axis in axes:
        if axis.name not in known:
            text = _("%(name)s is no number of this strategy that can be varied.")
            raise _wrong(text % {"name": axis.name})
        if not axis.count:
            raise _wrong(
                _("The lowest must not be above the highest, and the step must be more than zero.")
            )
        count *= axis.count
    most = settings.BACKTEST_SWEEP_SETS
    if not 1 < count <= most:
        text = _("That is %(count)d sets; a sweep tries 2 to %(most)d.")
        raise _wrong(text % {"count": count, "most": most})
    for axis in axes:
        if axis.name in SETTINGS:
            _check_setting(axis)
    try:
        combined(plan, varied(axes))
    except ParamErrors as error:
        texts = [f"{name}: {validity.translated(text)}" for name, text in error.errors.items()]
        raise _wrong("; ".join(texts)) from None


def _check_setting(axis: Axis) -> None:
    """Zero switches a stop or a target off; all else has to be what a bot may be set to."""
    column: Any = BotConfig._meta.get_field(axis.name)
    for value in (axis.low or axis.low + axis.step, axis.low + axis.step * (axis.count - 1)):
        if value:
            try:
                column.run_validators(value)
            except ValidationError as error:
                raise _wrong(f"{column.verbose_name}: {' '.join(error.messages)}") from None


def _wrong(text: str) -> ValidationError:
    return ValidationError({"vary": text})
