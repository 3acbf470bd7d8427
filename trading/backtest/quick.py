"""The walk of `engine.Walk` in whole numbers, for what most bots are.

Market entries on a spot market with stop, target, trailing stop and the bot's own limits. Each step
is what the shared functions come to where their outcome is beyond doubt. Where it is not, as near a
minimum or the end of the funds, Doubt is raised, and the plan is walked in Decimal. Tests hold both
against each other, order by order.
"""

from datetime import date
from fractions import Fraction
from typing import NamedTuple

from trading.backtest.plan import MINUTE_MS, PACE, Plan, Tell, instant
from trading.backtest.scan import Scan, Watch
from trading.backtest.signals import SELL
from trading.backtest.whole import ONE, Doubt, Share, moved, rounded, told, whole
from trading.day import day_end, local_day
from trading.market import TIMEFRAMES
from trading.risk import STOPS, Gate, of_capital
from trading.sizing import wanted_value

#: A part in a million: nearer to a bound than that the shared functions decide.
LESS, MORE = 999_999, 1_000_001
MILLION = 1_000_000


class Done(NamedTuple):
    """One order: `result.Order` with amounts and money in 10^-18."""

    at: int
    day: date
    is_entry: bool
    reason: Gate
    amount: int
    price: int
    value: int
    fee: int
    pnl: int


class Prices:
    """What a taker gets at a candle's price, and what is left of it."""

    def __init__(self, plan: Plan) -> None:
        self.tick = whole(plan.rules.price_tick)
        half, slip = Fraction(plan.costs.spread) / 2, Fraction(plan.costs.slippage)
        self.below = Share(1 - half) if half else None
        self.above = Share(1 + half) if half else None
        self.dearer, self.cheaper = Share(1 + slip), Share(1 - slip)
        fee = Fraction(plan.fee_rate)
        self.fee = Share(fee) if fee else None

    def bid(self, price: float) -> int:
        """Return the bid when a trade at `price` has just been made."""
        last = told(price)
        return last if self.below is None else max(self.below.down(last, self.tick), self.tick)

    def ask(self, price: float) -> int:
        """Return the ask when a trade at `price` has just been made."""
        last = told(price)
        return last if self.above is None else self.above.up(last, self.tick)

    def bought(self, ask: int) -> int:
        """Return what a market buy pays at this ask."""
        return self.dearer.up(ask, self.tick)

    def sold(self, bid: int) -> int:
        """Return what a market sale gets at this bid."""
        return max(self.cheaper.down(bid, self.tick), self.tick)

    def fee_of(self, value: int) -> int:
        """Return the fee of an order of this value."""
        return 0 if self.fee is None else self.fee.of(value)


class Limits:
    """What keeps a bot from entering, and the days that its limits count."""

    def __init__(self, plan: Plan) -> None:
        settings, self.zone = plan.settings, plan.zone
        self.most_trades = settings.max_daily_trades or 0
        self.loss = whole(of_capital(settings, settings.max_daily_loss_perc))
        self.gain = whole(of_capital(settings, settings.daily_target_perc))
        self.fall = whole(of_capital(settings, settings.max_drawdown_perc))
        self.cooldown = (settings.cooldown_minutes or 0) * MINUTE_MS
        self.window = (settings.stop_guard_minutes or 0) * MINUTE_MS
        self.most_stops = settings.stop_guard_stops if self.window else None
        self.days: dict[date, list[int]] = {}  # profit, positions opened
        self.day, self.day_ends_at = date.min, 0
        self.profit = self.peak = 0
        self.last_loss_at: int | None = None
        self.stops: list[int] = []

    def turn(self, at: int) -> None:
        """Begin a new trading day if the last one is over at `at` (Unix ms)."""
        if at >= self.day_ends_at:
            self.day = local_day(self.zone, instant(at))
            self.day_ends_at = round(day_end(self.zone, self.day).timestamp() * 1000)

    def keeps_back(self, at: int) -> bool:
        """Whether cooldown or stop guard keeps an entry back now."""
        if self.last_loss_at is not None and at < self.last_loss_at + self.cooldown:
            return True
        if not self.most_stops:
            return False
        self.stops = [stop for stop in self.stops if at < stop + self.window]
        return len(self.stops) >= self.most_stops

    def entered(self) -> None:
        """Count a position that was opened."""
        self.days.setdefault(self.day, [0, 0])[1] += 1

    def left(self, at: int, pnl: int, gate: Gate) -> Gate | None:
        """Count a position that was closed; returns the limit that is reached with it."""
        today = self.days.setdefault(self.day, [0, 0])
        today[0] += pnl
        self.profit += pnl
        self.peak = max(self.peak, self.profit)
        if pnl < 0:
            self.last_loss_at = at
        if gate in STOPS:
            self.stops.append(at)
        if self.fall and self.peak - self.profit >= self.fall:
            return Gate.MAX_DRAWDOWN
        if self.loss and today[0] <= -self.loss:
            return Gate.MAX_DAILY_LOSS
        if self.gain and today[0] >= self.gain:
            return Gate.DAILY_TARGET
        return Gate.MAX_DAILY_TRADES if 0 < self.most_trades <= today[1] else None


class Quick:
    """One way through the candles; Doubt, from here on, where it cannot be told in this way."""

    def __init__(self, plan: Plan, actions: bytes) -> None:
        settings, rules = plan.settings, plan.rules
        if settings.loss_includes_open or settings.leverage != 1 or not rules.active:
            raise Doubt
        if settings.max_spread_perc and plan.costs.spread:
            raise Doubt
        self.actions, self.candles = actions, plan.candles
        self.length = TIMEFRAMES[plan.candles.timeframe]
        self.prices, self.limits, self.scan = Prices(plan), Limits(plan), Scan(plan, actions)
        self.step, self.wanted = whole(rules.amount_step), whole(wanted_value(settings))
        self.least = max(self.step, whole(rules.min_amount))
        self.least_value = whole(rules.min_notional) * ONE
        self.most = None if rules.max_amount is None else whole(rules.max_amount)
        self.kept = Share(1 - Fraction(rules.taker_fee))
        self.stop_of = moved(settings.stop_loss_perc, -1)
        self.target_of = moved(settings.take_profit_perc, 1)
        trails = settings.trailing_stop_perc if settings.trailing_stop_active else None
        self.trailing_of = moved(trails, -1)
        self.share = None
        if self.trailing_of is not None:
            self.share = self.trailing_of.top / self.trailing_of.bottom
        self.free = whole(plan.funds)
        self.orders: list[Done] = []
        self.ended: Gate | None = None
        self.amount = self.cost = self.value = self.best = 0
        self.stop: int | None = None
        self.target: int | None = None
        self.watch = Watch(stop=None, target=None, share=None, best=0.0)
        self.marks = self.scan.marks(self.watch)

    def run(self, tell: Tell | None = None) -> None:
        """Walk from the first candle to the last."""
        place = self._next(0)
        while place is not None and self.ended is None:
            at = self.candles.times[place]
            if tell is not None and len(self.orders) % PACE == 0:
                tell(place / len(self.candles))
            if self.amount:
                self._opening(place, at)
            else:
                self._enter(place, at)
            if self.amount:
                self._inside(place, at)
            place = self._next(place + 1)

    def _next(self, place: int) -> int | None:
        if not self.amount:
            return self.scan.entry(place)
        watch = self.watch
        if self.share is not None:
            watch = watch._replace(best=self.best / ONE)
        found, highest = self.scan.eventful(watch, place)
        if highest is not None:
            self.best = max(self.best, self.prices.bid(self.candles.high[highest]))
        return found

    # -- entries --------------------------------------------------------------------------------
    def _enter(self, place: int, at: int) -> None:
        prices, limits = self.prices, self.limits
        limits.turn(at)
        if limits.keeps_back(at):
            return
        ask = prices.ask(self.candles.open[place])
        amount = self.wanted * ONE // (ask * self.step) * self.step
        self._be_sure(amount, ask)
        price = prices.bought(ask)
        value = rounded(price * amount, ONE)
        fee = prices.fee_of(value)
        if self.free * MILLION <= (value + fee) * LESS:
            return
        if self.free * MILLION < (value + fee) * MORE:
            raise Doubt
        self.free -= value + fee
        self.amount, self.value, self.cost = amount, value, value + fee
        entry = self.best = rounded(value * ONE, amount)
        self.stop = self.stop_of.of(entry) if self.stop_of else None
        self.target = self.target_of.of(entry) if self.target_of else None
        self.watch = Watch(
            stop=None if self.stop is None else self.stop / ONE,
            target=None if self.target is None else self.target / ONE,
            share=self.share,
            best=entry / ONE,
        )
        self.marks = self.scan.marks(self.watch)
        limits.entered()
        self.orders.append(Done(at, limits.day, True, Gate.SIGNAL, amount, price, value, fee, 0))

    def _be_sure(self, amount: int, ask: int) -> None:
        """Raise Doubt unless the market surely takes the amount, and takes it back at its stop."""
        if self.most is not None and amount * MILLION > self.most * LESS:
            raise Doubt
        levels = [share.of(ask) for share in (self.stop_of, self.trailing_of) if share]
        left = self.kept.down(amount, self.step) - self.step
        lowest = max(levels, default=ask)
        if left < self.least + self.step or left * lowest * LESS < self.least_value * MILLION:
            raise Doubt

    # -- exits ----------------------------------------------------------------------------------
    def _opening(self, place: int, at: int) -> None:
        """Judge the opening: the price may have jumped over a level; else the signal counts."""
        bid = self.prices.bid(self.candles.open[place])
        best = max(self.best, bid)
        gate = self._stopped(bid, best)
        if gate is None and self.target is not None and bid >= self.target:
            gate = Gate.TAKE_PROFIT
        if gate is None and self.actions[place] == SELL:
            gate = Gate.SIGNAL
        if gate is not None:
            self._leave(at, bid, gate)
        self.best = best

    def _inside(self, place: int, at: int) -> None:
        """Go down to the low, up to the high, down to the close."""
        candles, quarter, bid = self.candles, self.length // 4, self.prices.bid
        lowest, highest = self.marks
        if self.share is None and candles.low[place] > lowest and candles.high[place] < highest:
            return
        low = bid(candles.low[place])
        self._fall(at + quarter, bid(candles.open[place]), low)
        if not self.amount:
            return
        high = bid(candles.high[place])
        if self.target is not None and high >= self.target:
            self._leave(at + self.length // 2, max(self.target, low), Gate.TAKE_PROFIT)
            return
        self.best = max(self.best, high)
        self._fall(at + 3 * self.length // 4, high, bid(candles.close[place]))

    def _fall(self, at: int, begin: int, end: int) -> None:
        """Leave where a falling price meets the first stop on its way."""
        stops = [] if self.stop is None else [self.stop]
        if self.trailing_of is not None:
            stops.append(self.trailing_of.of(self.best))
        if stops and end <= max(stops):
            bid = min(max(stops), begin)
            gate = self._stopped(bid, max(self.best, bid))
            if gate is None:
                raise Doubt
            self._leave(at, bid, gate)

    def _stopped(self, bid: int, best: int) -> Gate | None:
        if self.stop is not None and bid <= self.stop:
            return Gate.STOP_LOSS
        if self.trailing_of is not None and bid <= self.trailing_of.of(best):
            return Gate.TRAILING_STOP
        return None

    def _leave(self, at: int, bid: int, gate: Gate) -> None:
        amount, limits = self.amount, self.limits
        if amount * bid * LESS < self.least_value * MILLION:
            raise Doubt
        limits.turn(at)
        price = self.prices.sold(bid)
        value = rounded(price * amount, ONE)
        fee = self.prices.fee_of(value)
        pnl = value - self.cost - fee
        self.free += value - fee
        self.amount = 0
        self.orders.append(Done(at, limits.day, False, gate, amount, price, value, fee, pnl))
        reached = limits.left(at, pnl, gate)
        if reached is Gate.MAX_DRAWDOWN:
            self.ended = reached
        elif reached is not None:
            self.scan.rest_until(limits.day_ends_at)
