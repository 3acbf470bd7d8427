"""On which terms a backtest held a perpetual, told on the page of its result."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from bots.backtests import plans
from bots.models import BacktestRun
from bots.templatetags.show import number, read
from trading.trades import ZERO


def held(run: BacktestRun, figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what was assumed of margin, liquidation and funding, one line each."""
    rates = {
        name: number(read(run.assumed[f"{name}_perc"]) or ZERO)
        for name in ("maintenance", "funding")
    }
    text = _("isolated, leverage %(leverage)d; prices traded stand for the mark price")
    yield _("Margin"), text % {"leverage": plans.draft_of(run).leverage}
    text = _("of %(rate)s %% maintenance margin and one bracket; the whole margin is lost")
    yield _("Liquidation"), text % {"rate": rates["maintenance"]}
    if run.is_sweep:
        text = _("%(rate)s %% in 8 hours where no rate is known: %(assumed)d of %(all)d times")
    else:
        text = _("%(rate)s %% in 8 hours where no rate is known: %(assumed)d of %(all)d payments")
    counts = {"assumed": figures["payments_assumed"], "all": figures["payments"]}
    yield _("Funding"), text % {"rate": rates["funding"], **counts}
    yield _("Buy and hold"), _("of as many contracts as the capital pays, without funding")
