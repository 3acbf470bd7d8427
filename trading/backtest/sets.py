"""Parameter sets of a plan: which combinations there are, and the plan with one of them.

A set names what is varied: parameters of the strategy, or SETTINGS. No numpy here: pages ask, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import product

from trading.backtest.plan import Plan
from trading.strategies import ParamErrors, Value, Values, clean

Chosen = Mapping[str, Value]
#: Settings that may be varied beside the strategy's parameters.
SETTINGS = ("stop_loss_perc", "take_profit_perc")


def combined(plan: Plan, varied: Mapping[str, Sequence[Value]]) -> list[Chosen]:
    """Return every combination that the strategy takes; ParamErrors if it takes none."""
    found: list[Chosen] = []
    error = None
    for values in product(*varied.values()):
        chosen = dict(zip(varied, values, strict=True))
        try:
            values_of(plan, chosen)
        except ParamErrors as refused:
            error = refused
        else:
            found.append(chosen)
    if error is not None and not found:
        raise error
    return found


def params_of(chosen: Chosen) -> dict[str, Value]:
    """Return those of a set that are parameters of the strategy, as they were given."""
    return {name: value for name, value in chosen.items() if name not in SETTINGS}


def settings_of(chosen: Chosen) -> dict[str, Decimal | None]:
    """Return those of a set that are settings; zero is a stop or a target that is off."""
    return {name: Decimal(str(value)) or None for name, value in chosen.items() if name in SETTINGS}


def values_of(plan: Plan, chosen: Chosen) -> Values:
    """Return the strategy's parameters of one set. ParamErrors."""
    return clean(plan.strategy, {**plan.values, **params_of(chosen)})


def applied(plan: Plan, chosen: Chosen) -> Plan:
    """Return the plan of one set. ParamErrors."""
    settings = replace(plan.settings, **settings_of(chosen))  # type: ignore[arg-type]
    return replace(plan, values=values_of(plan, chosen), settings=settings)
