"""A bot as its pages show it: everything derived when it is read, nothing stored."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Q
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from bots.lifecycle import FATAL, LIMITS, Duty, Mode, Reason, Status
from bots.messages import Explanation, explain
from bots.models import Balance, BotConfig, BotState, Market
from bots.sentences import next_run, sentence

#: Seconds between two polls: something is about to change, the bot ticks, nothing goes on.
SOON, ACTIVE, IDLE = 3, 10, 60
URGENCY = (
    Status.ERROR,
    Status.WAITING,
    Status.PAUSED,
    Status.PENDING,
    Status.RUNNING,
    Status.STOPPED,
)
KEY_REASONS = frozenset(
    {
        Reason.API_KEY_MISSING,
        Reason.API_KEY_DECRYPT_FAILED,
        Reason.API_KEY_INVALID,
        Reason.API_KEY_RIGHTS,
    }
)
SETTINGS_REASONS = frozenset(
    {
        Reason.BAD_SETTINGS,
        Reason.UNKNOWN_STRATEGY,
        Reason.BELOW_MINIMUM,
        Reason.INSUFFICIENT_FUNDS,
        Reason.MARKET_UNKNOWN,
        Reason.MARKET_HALTED,
        Reason.CLIENT_INIT_FAILED,
        *LIMITS,
    }
)
HUNDRED = Decimal(100)
MarketKey = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Level:
    """A price that matters to a position, and how far the last price is from it (%)."""

    label: str
    price: Decimal
    distance: Decimal | None


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A daily counter against its limit; `used` is 0..100 for the bar."""

    label: str
    have: Decimal
    limit: Decimal
    used: int
    unit: str

    @property
    def is_reached(self) -> bool:
        return self.used >= 100


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One bot at one moment, for the dashboard's row and for the bot's panel."""

    bot: BotConfig
    now: datetime
    market: Market | None = None
    has_command: bool = False

    @cached_property
    def state(self) -> BotState | None:
        return self.bot.state_or_none

    @property
    def sentence(self) -> str:
        return sentence(self.state, self.now)

    @property
    def is_late(self) -> bool:
        return bool(self.state and self.state.is_late(self.now))

    @property
    def is_unwatched(self) -> bool:
        return bool(self.state and self.state.is_unwatched)

    @property
    def is_error(self) -> bool:
        return bool(self.state and self.state.status == Status.ERROR)

    @property
    def token(self) -> str:
        """What a poll compares: the row's version, marked where time alone changed the page."""
        version = self.state.version if self.state else 0
        return (
            f"{version}{'l' if self.is_late else ''}{'c' if self.has_command else ''}{self._read}"
        )

    @property
    def balance(self) -> Balance | None:
        """What a worker last read of the bot's account; a paper account has none."""
        return getattr(self.bot.account, "balance", None)

    @property
    def _read(self) -> str:
        """Tell one reading of the balance from the next, a failure among them."""
        row = self.balance
        at = row.as_of.timestamp() if row and row.as_of else 0
        return f"b{at:.3f}{row.fault}" if row else ""

    @property
    def every(self) -> int:
        """Seconds until the page should ask again."""
        state = self.state
        if state is None or (state.duty == Duty.NONE and not self.has_command):
            return IDLE
        closing = state.duty == Duty.EXIT and state.wind_down != "after_exit"
        if state.status == Status.PENDING or closing or self.has_command:
            return SOON
        return ACTIVE

    @property
    def urgency(self) -> tuple[int, int, str]:
        """Sort key: errors and unwatched positions first, then by status and name."""
        if self.state is None:
            return 1, len(URGENCY), self.bot.name
        first = 0 if self.is_error or self.is_unwatched else 1
        return first, URGENCY.index(Status(self.state.status)), self.bot.name

    @property
    def quote(self) -> str:
        """The currency of the bot's profit and loss."""
        return quote_of(self.bot.symbol)

    @property
    def base(self) -> str:
        return self.bot.symbol.split("/")[0]

    @property
    def tick(self) -> Decimal | None:
        return self.market.price_tick if self.market else None

    @property
    def step(self) -> Decimal | None:
        return self.market.amount_step if self.market else None

    @property
    def may_start(self) -> bool:
        state = self.state
        off = state is None or state.duty != Duty.TRADE
        return off or bool(state and state.status == Status.ERROR)

    @property
    def may_stop(self) -> bool:
        """Whether it ticks, or would go on by itself when its trading day ends."""
        state = self.state
        return bool(state and (state.duty != Duty.NONE or state.status == Status.PAUSED))

    @property
    def may_enter(self) -> bool:
        state = self.state
        return bool(state and state.duty == Duty.TRADE and self._is_free and not state.in_position)

    @property
    def may_exit(self) -> bool:
        state = self.state
        return bool(state and state.duty != Duty.NONE and self._is_free and state.in_position)

    @property
    def _is_free(self) -> bool:
        return not self.has_command and not (self.state and self.state.has_unsettled_orders)

    @property
    def next_run(self) -> datetime | None:
        return next_run(self.state) if self.state else None

    @property
    def unrealised(self) -> Decimal | None:
        """Profit or loss of the open position at the last price, before the exit fee."""
        state = self.state
        if not state or not state.in_position or state.last_price is None:
            return None
        profit: Decimal = state.current_position_size * state.last_price - state.position_cost
        return profit

    @property
    def unrealised_perc(self) -> Decimal | None:
        state, profit = self.state, self.unrealised
        if not state or profit is None or not state.position_cost:
            return None
        cost: Decimal = state.position_cost
        return profit / cost * HUNDRED

    @property
    def levels(self) -> list[Level]:
        """Stop, trailing stop and target of the open position, with their distances."""
        state = self.state
        if not state or not state.in_position:
            return []
        named = [
            (_("Stop loss"), state.stop_loss_price),
            (_("Trailing stop"), state.trailing_stop_price),
            (_("Take profit"), state.take_profit_price),
        ]
        return [
            Level(label=label, price=price, distance=distance(price, state.last_price))
            for label, price in named
            if price is not None
        ]

    @property
    def limits(self) -> list[Limit]:
        """Today's counters against the limits that the owner set."""
        bot, state = self.bot, self.state
        pnl = state.daily_pnl if state else Decimal(0)
        trades = Decimal(state.daily_trades_count if state else 0)
        rows = []
        if bot.max_daily_trades:
            rows.append(_limit(_("Trades"), trades, Decimal(bot.max_daily_trades), ""))
        if bot.max_daily_loss_perc:
            limit = bot.initial_capital * bot.max_daily_loss_perc / HUNDRED
            rows.append(_limit(_("Loss"), max(-pnl, Decimal(0)), limit, self.quote))
        if bot.daily_target_perc:
            limit = bot.initial_capital * bot.daily_target_perc / HUNDRED
            rows.append(_limit(_("Target"), max(pnl, Decimal(0)), limit, self.quote))
        return rows

    @property
    def trades_limit(self) -> Limit | None:
        """The counter that the dashboard's row has room for."""
        return next((row for row in self.limits if not row.unit), None)

    @property
    def explanation(self) -> Explanation | None:
        """What a banner says: for errors, waits and pauses only."""
        state = self.state
        if state and state.status in (Status.ERROR, Status.WAITING, Status.PAUSED):
            return explain(state.reason)
        return None

    @property
    def remedy(self) -> str:
        """The one button of the banner: keys, settings, orders, start or nothing."""
        reason = self.state.reason if self.state else ""
        if reason in KEY_REASONS:
            return "keys"
        if reason in SETTINGS_REASONS:
            return "settings"
        if reason in (Reason.ORDER_UNKNOWN, Reason.ORDER_REJECTED):
            return "orders"
        return "start" if reason in FATAL else ""

    @property
    def is_live(self) -> bool:
        return self.bot.mode == Mode.LIVE


def quote_of(symbol: str) -> str:
    """Return the quote currency of `BTC/USDT` or `BTC/USDT:USDT`."""
    return symbol.split(":")[0].rpartition("/")[2]


def distance(price: Decimal, last: Decimal | None) -> Decimal | None:
    """Return how far `price` lies from the last price, in percent of the last price."""
    return (price / last - 1) * HUNDRED if last else None


def _limit(label: str, have: Decimal, limit: Decimal, unit: str) -> Limit:
    used = min(int(have / limit * HUNDRED), 100) if limit else 0
    return Limit(label=label, have=have, limit=limit, used=used, unit=unit)


def market_of(bot: BotConfig) -> Market | None:
    """Return the rules of this bot's market as a worker last read them."""
    return Market.objects.filter(exchange=bot.exchange, mode=bot.mode, symbol=bot.symbol).first()


def markets_of(bots: Iterable[BotConfig]) -> dict[MarketKey, Market]:
    """Return the rules of these bots' markets in one query."""
    wanted = {(bot.exchange, bot.mode, bot.symbol) for bot in bots}
    if not wanted:
        return {}
    rows = Market.objects.filter(
        Q(exchange__in={key[0] for key in wanted}), symbol__in={key[2] for key in wanted}
    )
    return {(row.exchange, row.mode, row.symbol): row for row in rows}
