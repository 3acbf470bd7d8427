"""The state machine: what may happen to bots, in any order."""

import sys
from collections import Counter
from contextlib import ExitStack, suppress
from datetime import timedelta
from decimal import Decimal
from typing import ClassVar

from django.db.models import Q
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bots import control, reset
from bots.change import Refusal
from bots.failpoints import POINTS
from bots.lifecycle import Duty
from bots.models import BotConfig, BotState, Order
from tests.level_a import truth
from tests.level_a.stage import KINDS, Cast, Stage
from trading.exchange import ExchangeError, Fault, Refused, Rejected, Unreachable, Unusable
from trading.market import OrderStatus

LOST = Unreachable(Fault.NETWORK, "read timed out", sent=True)
UNSENT = Unreachable(Fault.NETWORK, "connection refused", sent=False)
SILENCE = Unreachable(Fault.RATE_LIMIT, "429", sent=True, retry_after=30)
REFUSALS: dict[str, ExchangeError] = {
    "lost": LOST,
    "unsent": UNSENT,
    "silence": SILENCE,
    "clear no": Rejected(Fault.ORDER_REJECTED, "no"),
    "no funds": Rejected(Fault.INSUFFICIENT_FUNDS, "need more"),
    "revoked": Refused(Fault.KEY_INVALID, "Invalid API-key"),
}
#: Shares in which an order fills, and how it ends.
PARTS: dict[str, tuple[tuple[str, ...], OrderStatus]] = {
    "whole": (("1",), OrderStatus.FILLED),
    "halves": (("0.5", "0.5"), OrderStatus.FILLED),
    "thirds": (("0.3", "0.3", "0.4"), OrderStatus.FILLED),
    "part": (("0.37",), OrderStatus.CANCELED),
    "crumb": (("0.01",), OrderStatus.EXPIRED),
    "nothing": ((), OrderStatus.EXPIRED),
}
#: What fails how: of the market, or of each account.
TROUBLES: dict[str, tuple[str, str, ExchangeError]] = {
    "find": ("account", "find_error", LOST),
    "find, silence": ("account", "find_error", SILENCE),
    "order": ("account", "refuse", LOST),
    "answer": ("account", "lose_answer", LOST),
    "pair": ("account", "refuse_pair", LOST),
    "no pair": ("account", "refuse_pair", REFUSALS["clear no"]),
    "cancel": ("account", "cancel_error", LOST),
    "list": ("account", "list_error", LOST),
    "market": ("market", "error", LOST),
    "quote": ("market", "quote_error", SILENCE),
    "rules": ("market", "rules_error", LOST),
    "candles": ("market", "candle_error", Unusable(Fault.STALE_DATA, "old")),
}
#: What a futures exchange does by itself, and at what price: a share of the position is closed.
FORCED = {"liquidation": ("1", "67"), "short squeeze": ("1", "131"), "deleveraging": ("0.4", "98")}
BY = st.sampled_from([-24, -1, 0, 1, 24])
BOTS = st.integers(0, len(KINDS) - 1)
CLICKS = ("start", "leave", "close", "after_exit", "enter", "exit", "edit", "tick", "reset", "none")
CLICKS += ("compare", *FORCED)
#: What the price is multiplied with: a stop or a target is met.
MOVES = ("0.94", "1.06")
#: Seconds after which each tick and the sweep want a bot compared.
COMPARED_AFTER = 301
#: Which of a tick's orders: an entry has its stop and target after it.
ORDER = st.sampled_from([0, 0, 0, 1, 2])


class Schedules(RuleBasedStateMachine):
    """One schedule; `cast` is set before the first."""

    cast: ClassVar[Cast]
    #: What all schedules of this process came to.
    totals: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(cast=self.cast)
        self._seen = (-1, 0)
        self._open = ExitStack()
        self._open.enter_context(self.stage.lights())
        for bot in self.cast.bots:
            self.stage.start(bot)

    def bot(self, number: int) -> BotConfig:
        return self.cast.bots[number]

    @rule(bot=BOTS, after=st.sampled_from([0.5, 5, 21, 60, 130]))
    def tick(self, bot: int, after: float) -> None:
        self.stage.tick(self.bot(bot), after)

    @rule(bot=BOTS, after=st.sampled_from([5, 60]))
    def trade(self, bot: int, after: float) -> None:
        self._provoke(bot)
        self.stage.tick(self.bot(bot), after)

    @rule(bot=BOTS, point=st.sampled_from(POINTS))
    def killed_at_point(self, bot: int, point: str) -> None:
        self._provoke(bot)
        self.stage.kill_at_point(self.bot(bot), point)

    @rule(bot=BOTS, number=st.integers(1, 60))
    def killed_at_statement(self, bot: int, number: int) -> None:
        self._provoke(bot)
        self.stage.kill_at_statement(self.bot(bot), number)

    @rule(bot=BOTS, when=st.sampled_from(["before", "after"]), order=ORDER)
    def killed_at_order(self, bot: int, when: str, order: int) -> None:
        self._provoke(bot)
        self.stage.kill_at_order(self.bot(bot), when, order)

    @rule(
        bot=BOTS,
        point=st.sampled_from(POINTS),
        seconds=st.sampled_from([1, 4, 30, 61, 90]),
        clicks=st.lists(st.sampled_from(CLICKS), max_size=3),
    )
    def frozen(self, bot: int, point: str, seconds: float, clicks: list[str]) -> None:
        """A late copy of a tick: it wakes when others have come and gone."""

        def meanwhile() -> None:
            for click in clicks:
                self._click(bot, click)

        self._provoke(bot)
        self.stage.freeze(self.bot(bot), point, seconds, meanwhile)

    @rule(bot=BOTS, kind=st.sampled_from(sorted(REFUSALS)), taken=st.booleans(), order=ORDER)
    def order_fails(self, bot: int, kind: str, taken: bool, order: int) -> None:
        """Orders are refused, lost on their way, or taken and their answers lost."""
        self._provoke(bot)
        venue = self.stage.venue_of(self.bot(bot))
        venue.spared = order
        if taken:
            venue.lose_answer = LOST
        else:
            venue.refuse = REFUSALS[kind]
        self.stage.tick(self.bot(bot), 5)
        venue.refuse, venue.lose_answer, venue.spared = None, None, 0

    @rule(
        bot=BOTS,
        delay=st.sampled_from([0.9, 4, 6]),
        kill=st.booleans(),
        ticks=st.lists(st.sampled_from([0.5, 21]), max_size=3),
    )
    def order_arrives_late(self, bot: int, delay: float, kill: bool, ticks: list[float]) -> None:
        """An order is still under way when its tick has ended, or was killed and is known dead."""
        self._provoke(bot)
        venue = self.stage.venue_of(self.bot(bot))
        venue.delay = delay
        if kill:
            self.stage.kill_at_order(self.bot(bot), "before")
            self.stage.end_leases([self.bot(bot).pk])
        else:
            self.stage.tick(self.bot(bot))
        venue.delay = None
        for after in ticks:
            self.stage.tick(self.bot(bot), after)

    @rule(bot=BOTS, click=st.sampled_from(CLICKS))
    def click(self, bot: int, click: str) -> None:
        self._click(bot, click)

    @rule(
        price=st.sampled_from(["80", "94", "97", "99.5", "100", "103", "106", "130"]),
        trend=st.sampled_from(["up", "down", "flat"]),
    )
    def price(self, price: str, trend: str) -> None:
        self.stage.market.price, self.stage.market.trend = Decimal(price), trend

    @rule(what=st.sampled_from(sorted(TROUBLES)))
    def trouble(self, what: str) -> None:
        """Something fails from now on, until the faults end."""
        where, name, error = TROUBLES[what]
        for one in self.stage.venues if where == "account" else (self.stage.market,):
            setattr(one, name, error)

    @rule()
    def faults_end(self) -> None:
        self.stage.calm()

    @rule(
        kind=st.sampled_from(sorted(PARTS)),
        visible=st.sampled_from([None, None, 0, 1]),
        lags=st.sampled_from([0, 0, 1]),
        fee=st.sampled_from(["USDT", "BTC", "BNB"]),
    )
    def fills(self, kind: str, visible: int | None, lags: int, fee: str) -> None:
        for venue in self.stage.venues:
            venue.parts, venue.end = PARTS[kind]
            venue.visible, venue.lags, venue.fee_currency = visible, lags, fee

    @rule(seconds=st.sampled_from([1, 30, 61, 3600, 43_200]))
    def time_passes(self, seconds: float) -> None:
        self.stage.pass_time(seconds)

    @rule(what=st.sampled_from(["halt", "flatten", "skew", "hand", "reset", "dead"]), by=BY)
    def rare(self, what: str, by: int) -> None:
        if what in ("halt", "flatten"):
            self._halt(flatten=what == "flatten")
        elif what == "skew":
            self.stage.skew = timedelta(hours=by)
        elif what == "hand":
            for venue in self.stage.venues:
                venue.move_by_hand(Decimal(by) / 24)
        elif what == "reset":
            self._click(0, "reset")
        else:
            self.stage.restart()

    @rule(what=st.sampled_from(["bought", "sold", "pays", "receives", *MOVES]))
    def futures(self, what: str) -> None:
        """The owner trades by hand, or a position meets funding, its stop or its target."""
        if what in ("bought", "sold"):
            self.stage.perpetual.move_by_hand(Decimal(1 if what == "bought" else -1))
            return
        self._see_to_a_position()
        if what in MOVES:
            self.stage.move(Decimal(what))
        else:
            self.stage.pay(Decimal("-0.25" if what == "pays" else "0.125"))

    @rule(what=st.sampled_from(sorted(FORCED)))
    def forced(self, what: str) -> None:
        """The exchange closes a futures position, or a part of it."""
        self._see_to_a_position()
        self.stage.force(*FORCED[what])

    @invariant()
    def everything_holds(self) -> None:
        self.totals["steps"] += 1
        self.stage.roll_over()
        # What nobody wrote to since the last look is as it was.
        seen = (self.stage.writes, sum(len(venue.wrong) for venue in self.stage.venues))
        if seen != self._seen:
            self._none(truth.problems(self.stage))
            self._seen = seen

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self._heal()
        finally:
            totals, stage = self.totals, self.stage
            totals["schedules"] += 1
            totals["kills"] += stage.kills
            totals["freezes"] += stage.freezes
            totals["orders"] += sum(len(venue.taken) for venue in stage.venues)
            totals["forced"] += len(stage.perpetual.mine)
            totals["paid"] += len(stage.perpetual.due)
            self._open.close()

    def _heal(self) -> None:
        """Let the faults end and the bots tick until all is settled, then compare everything."""
        stage = self.stage
        stage.calm()
        stage.skew = timedelta(0)
        stage.market.trend = "flat"
        stage.pass_time(61)
        for _ in range(6):
            for bot in self.cast.bots:
                if stage.tick(bot, 21) is None:
                    stage.compare(bot)
            if not Order.objects.filter(bot__in=self.cast.bots, is_settled=False).exists():
                break
        # What the exchange did by itself the ledger need not know before the next comparison.
        stage.pass_time(COMPARED_AFTER)
        wanted = stage.sweep()
        for bot in self.cast.perpetuals:
            if stage.tick(bot) is None and bot.pk in wanted:
                stage.compare(bot)
        stage.roll_over()
        self._none(truth.rest(stage))

    @staticmethod
    def _none(found: list[str]) -> None:
        assert not found, "; ".join(found)

    def _provoke(self, number: int) -> None:
        """See to it that the bot is on and free, and that its next tick wants to enter or leave."""
        bot = self.bot(number)
        self.stage.end_leases([bot.pk])  # as the sweep does where the process was on its machine
        state = self.stage.state(bot)
        if state is None or state.duty != Duty.TRADE:
            with suppress(Refusal):
                self.stage.start(bot)
        side, market = state.position_side if state is not None else "", self.stage.market
        if side:
            market.trend = "up" if side == "short" else "down"
        elif bot.direction != "both" or market.trend == "flat":
            market.trend = "up"

    def _see_to_a_position(self) -> None:
        number = len(KINDS) - 1
        if not self.stage.perpetual.holds(self.bot(number).pk):
            self._provoke(number)
            self.stage.tick(self.bot(number), 5)

    def _halt(self, *, flatten: bool) -> None:
        newest = self._newest_entry()
        control.halt(None, flatten=flatten, by=self.cast.owner, via="command")
        for bot in self.cast.bots:
            self.stage.tick(bot)
        assert self._newest_entry() == newest, "an entry was written after halt"

    def _click(self, number: int, click: str) -> None:
        bot, stage = self.bot(number), self.stage
        who = {"by": self.cast.owner, "via": "api"}
        with suppress(Refusal):
            if click == "start":
                control.start(bot, **who)
            elif click in ("leave", "close", "after_exit"):
                newest = self._newest_entry(bot)
                control.stop(bot, position=click, **who)
                stage.tick(bot)
                assert self._newest_entry(bot) == newest, "an entry was written after stop"
            elif click in ("enter", "exit"):
                control.command(bot, click, **who)
            elif click == "edit":
                self._edit(bot)
            elif click == "tick":
                stage.tick(bot)
            elif click == "reset":
                state = BotState.objects.get(pk=bot.pk)
                reset.roll_over(stage.clock(), day=state.counter_day + timedelta(days=1))
            elif click == "compare":
                stage.compare(bot)
            elif click in FORCED and bot in self.cast.perpetuals:
                stage.force(*FORCED[click])

    def _edit(self, bot: BotConfig) -> None:
        row = BotConfig.objects.get(pk=bot.pk)
        size = Decimal(150) if row.position_size_fixed == 200 else Decimal(200)
        control.edit(row, {"position_size_fixed": size}, by=self.cast.owner, via="api")

    def _newest_entry(self, bot: BotConfig | None = None) -> int:
        opening = Q(purpose="entry") | Q(purpose="rung", side="buy")
        rows = Order.objects.filter(opening, bot__in=self.cast.bots)
        if bot is not None:
            rows = rows.filter(bot=bot)
        return rows.order_by("-pk").values_list("pk", flat=True).first() or 0
