"""What the values of the bot form mean, and what its market would refuse of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from bots import candles, markets
from bots.forms import BotForm
from bots.forms.fields import read_number
from bots.forms.params import PREFIX
from bots.lifecycle import Mode, PositionType
from bots.models import Market
from bots.models.fields import plain
from bots.templatetags.show import money, price
from bots.views.exposure import HUNDRED
from trading import strategies
from trading.strategies import Param, ParamErrors, StrategyFailed
from trading.symbols import quote_of

#: Texts as they were typed, or checked values.
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """What a bot puts in, all in quote currency: None where it is not (or not yet) said.

    `size` is one entry, `most` all orders of a ladder together (else None), `stop` what a trade
    that hits its stop loses, `left` what an entry is worth at the nearest stop, `worst` the day's
    limit.
    """

    capital: Decimal | None
    size: Decimal | None
    most: Decimal | None
    stop: Decimal | None
    left: Decimal | None
    worst: Decimal | None

    @classmethod
    def of(cls, values: Values) -> "Stakes":
        """Read them from the form's values."""
        capital, size = number_of(values, "initial_capital"), number_of(values, FIXED)
        if size is None:
            size = _share(capital, number_of(values, "position_size_perc"))
        stop = number_of(values, "stop_loss_perc")
        trailing = values.get("trailing_stop_active") and number_of(values, "trailing_stop_perc")
        near = min((perc for perc in (stop, trailing) if perc), default=Decimal(0))
        return cls(
            capital=capital,
            size=size,
            most=(most := _most(size, values)),
            stop=_share(most or size, stop),
            left=None if size is None else size * (HUNDRED - near) / HUNDRED,
            worst=_share(capital, number_of(values, "max_daily_loss_perc")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a market would `refuse` for good, and what is only worth a warning."""

    refusals: tuple[str, ...]
    warnings: tuple[str, ...]


FIXED = "position_size_fixed"


def values_of(form: BotForm) -> dict[str, str]:
    """Return what a form's inputs hold now, as texts."""
    names = [*BotForm.Meta.fields, *(name for name in form.fields if name.startswith(PREFIX))]
    return {name: str(form[name].value() or "") for name in names}


def number_of(values: Values, name: str) -> Decimal | None:
    """Return a value as a number, None where it is none."""
    value = values.get(name)
    if isinstance(value, Decimal | int):
        return Decimal(value)
    try:
        return read_number(value or "")
    except ValidationError:
        return None


def _share(whole: Decimal | None, perc: Decimal | None) -> Decimal | None:
    return whole * perc / HUNDRED if whole is not None and perc else None


def _most(size: Decimal | None, values: Values) -> Decimal | None:
    """Return what all orders of a ladder are worth; None: it has none, or parameters are wrong."""
    name = str(values.get("strategy") or "")
    ladder, strategy = strategies.ladder_of(name), strategies.STRATEGIES.get(name)
    if ladder is None or strategy is None or size is None:
        return None
    params = values.get("params")
    if not isinstance(params, Mapping):
        params = {
            param.name: typed
            for param in strategy.params
            if (typed := _typed(values, param)) is not None
        }
    try:
        return size * ladder.most(strategies.clean(strategy, params))
    except (ParamErrors, StrategyFailed):
        return None


def _typed(values: Values, param: Param) -> object:
    """Return a parameter as the form's input holds it; None: it is not there, or no number."""
    typed = values.get(PREFIX + param.name)
    if typed is None or param.type in ("choice", "bool"):
        return typed
    return number_of(values, PREFIX + param.name)


def notes(values: Values) -> dict[str, Any]:
    """Return what the numbers typed so far mean, and what the market would refuse."""
    where = (
        (values.get("exchange") or "").strip().lower(),
        values.get("mode") or Mode.PAPER.value,
        values.get("position_type") or PositionType.SPOT.value,
    )
    typed = (values.get("symbol") or "").strip()
    symbol = markets.resolve([typed], *where)[typed] if typed else ""
    rows = markets.listed(*where)
    market = rows.filter(symbol=symbol).first() if symbol else None
    stakes = Stakes.of(values)
    verdict = judge(market, symbol, stakes, is_listed=market is not None or rows.exists())
    # A symbol that is still being typed has no currency yet.
    currency = quote_of(symbol) if "/" in symbol else _("(quote currency)")
    if market:
        currency = market.quote
    return {
        "warnings": [
            *verdict.refusals,
            *verdict.warnings,
            *_warnings_of_leverage(values),
            *_warnings_of_grid(values, market),
        ],
        "sentences": list(_sentences(values, stakes, currency)),
    }


def judge(market: Market | None, symbol: str, stakes: Stakes, *, is_listed: bool) -> Verdict:
    """Hold what a bot would put in against its market's rules.

    `is_listed`: the exchange's list of markets is known, so a symbol that is not in it is wrong.
    """
    refusals: list[str] = []
    warnings: list[str] = []
    if market is None:
        if symbol and is_listed:
            words = {"symbol": symbol}
            refusals.append(_("%(symbol)s is not in this exchange's list of markets.") % words)
    else:
        refusals += _too_small(market, stakes)
        if not market.is_tradable:
            warnings.append(_("The exchange has halted %(symbol)s.") % {"symbol": symbol})
    if stakes.size is not None and stakes.capital is not None and stakes.size > stakes.capital:
        warnings.append(_("One entry is larger than the initial capital."))
    elif stakes.most is not None and stakes.capital is not None and stakes.most > stakes.capital:
        warnings.append(_("All orders together are worth more than the initial capital."))
    return Verdict(refusals=tuple(refusals), warnings=tuple(warnings))


def _too_small(market: Market, stakes: Stakes) -> Iterator[str]:
    """Say what ticks would not send: too small an order, or one that could not be sold again."""
    size, left, least = stakes.size, stakes.left, market.min_notional
    if size is None or left is None or not least:
        return
    words = {"least": money(least), "size": money(size), "quote": market.quote}
    # The fee may be taken in the coin; futures are closed whole.
    kept = left * (1 - market.taker_fee)
    if size < least:
        yield _("This market takes at least %(least)s %(quote)s; you entered %(size)s.") % words
    elif kept < least and market.position_type == PositionType.SPOT:
        yield (
            _(
                "At its stop an entry is worth %(left)s %(quote)s, its fee taken off: less than "
                "the %(least)s that this market takes. The bot would not enter."
            )
            % {**words, "left": money(kept)}
        )


def _warnings_of_leverage(values: Values) -> Iterator[str]:
    """Warn of a stop that the exchange would not wait for: it liquidates first."""
    leverage, stop = number_of(values, "leverage"), number_of(values, "stop_loss_perc")
    if values.get("position_type") != PositionType.FUTURES or not leverage or leverage <= 1:
        return
    if stop is None:
        yield _(
            "No stop loss is set: the exchange liquidates the position when its margin is gone."
        )
    elif stop >= HUNDRED / leverage:
        words = {"leverage": plain(leverage), "perc": money(HUNDRED / leverage)}
        yield (
            _("At leverage %(leverage)s the margin is gone after %(perc)s %%: before this stop.")
            % words
        )


def _warnings_of_grid(values: Values, market: Market | None) -> Iterator[str]:
    """Warn of a grid that the price lies outside of: its orders would wait for long."""
    low, high = (number_of(values, f"{PREFIX}{name}") for name in ("lowest", "highest"))
    if values.get("strategy") != "grid" or market is None or low is None or high is None:
        return
    key = candles.key_of(
        market.exchange, market.mode, market.symbol, str(values.get("timeframe") or "")
    )
    stored = candles.latest_of([key]).get(key)
    last = Decimal(repr(stored.close[-1])) if stored and len(stored) else None
    if last is not None and not low <= last <= high:
        words = {"price": price(last, market.price_tick)}
        yield _("The last price, %(price)s, lies outside the grid.") % words


def _sentences(values: Values, stakes: Stakes, currency: str) -> Iterator[str]:
    words = {"quote": currency}
    if stakes.size is not None:
        yield _("Each entry: %(size)s %(quote)s.") % {**words, "size": money(stakes.size)}
    if stakes.most is not None:
        all_of_them = {**words, "most": money(stakes.most)}
        yield _("All its orders together: up to %(most)s %(quote)s.") % all_of_them
    leverage = number_of(values, "leverage") or Decimal(1)
    is_futures = values.get("position_type") == PositionType.FUTURES
    if stakes.size is not None and is_futures and leverage > 1:
        margin = {**words, "margin": money(stakes.size / leverage)}
        yield _("It binds %(margin)s %(quote)s of margin.") % margin
    if stakes.stop is not None:
        loss = {**words, "loss": money(stakes.stop)}
        yield _("A trade that hits its stop loses about %(loss)s %(quote)s and fees.") % loss
    worst = number_of(values, "max_daily_loss_perc")
    if stakes.worst is not None and worst is not None:
        day = {**words, "perc": money(worst), "loss": money(stakes.worst)}
        yield _("Worst day: −%(perc)s %% = %(loss)s %(quote)s, then it pauses.") % day
    elif stakes.capital is not None:
        yield _("No daily loss limit is set.")
