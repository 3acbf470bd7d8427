"""A perpetual in a backtest: both ways, margin, funding, liquidation, by hand and at random."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.candles import from_closes, random_walk
from trading.backtest import Costs, Plan, Rates, Result, Terms, Unsupported, report, run
from trading.backtest.carry import Carry
from trading.backtest.perpetual import liquidated_at, payment
from trading.backtest.signals import BUY, NONE, SELL
from trading.backtest.sweep import sweep
from trading.market import Candles, OrderType, Rules
from trading.risk import Settings
from trading.sizing import liquidation_price
from trading.strategies import clean, get

D = Decimal
T = 1_677_628_800_000  # 2023-03-01T00:00Z, a funding time
HOUR = 3_600_000
RULES = Rules(
    symbol="A/USDT:USDT", base="A", quote="USDT", price_tick=D("0.01"), amount_step=D("0.001")
)
Row = tuple[float, float, float, float]
FREE = Costs(fee_rate=D(0), slippage=D(0))
#: No funding, unless a test asks for it.
STILL = Terms(maintenance=D("0.025"), funding_rate=D(0))
FLAT: Row = (100, 100, 100, 100)


def plan_on(candles: Candles, *, costs: Costs = FREE, terms: Terms = STILL, **values: Any) -> Plan:
    fields = {"initial_capital": D(1000), "position_size_fixed": D(1000), "direction": "both"}
    return Plan(
        candles=candles,
        rules=RULES,
        settings=Settings(**(fields | {"leverage": 10} | values)),
        strategy=get("ema_rsi"),
        values=clean(get("ema_rsi"), {}),
        zone=ZoneInfo("UTC"),
        funds=D(1000),
        costs=costs,
        terms=terms,
    )


def plan_of(rows: list[Row], **values: Any) -> Plan:
    times = [T + n * HOUR for n in range(len(rows))]
    candles = [(at, *row, 1.0) for at, row in zip(times, rows, strict=True)]
    return plan_on(Candles.from_rows(RULES.symbol, "1h", candles), **values)


def trade(rows: list[Row], said: list[int], **values: Any) -> Result:
    return run(plan_of(rows, **values), bytes(said))


def told(result: Result) -> list[tuple[str, str, Decimal, int]]:
    return [(o.side, o.reason, o.price, (o.at - T) * 4 // HOUR) for o in result.orders]


def test_the_liquidation_price_is_that_of_the_bots_estimate_worked_by_hand() -> None:
    # 10 units for 1,000 on 100 of margin, 2.5 % to maintain: 900 / 9.75 and 1,100 / 10.25.
    value, units, margin, rate = D(1000), D(10), D(100), D("0.025")
    long = liquidated_at(value, units, margin, rate, is_short=False)
    short = liquidated_at(value, units, margin, rate, is_short=True)
    assert (round(long or 0, 6), round(short or 0, 6)) == (D("92.307692"), D("107.317073"))
    assert long == liquidation_price(D(100), 10, rate)
    assert short == liquidation_price(D(100), 10, rate, is_short=True)
    assert liquidated_at(value, units, value, rate, is_short=False) is None


def test_funding_is_value_times_rate_and_never_more_than_there_is() -> None:
    long = payment(D(10), D(110), D("0.0001"), D(500), is_short=False)
    assert (long, payment(D(10), D(110), D("0.0001"), D(500), is_short=True)) == (
        D("-0.11"),
        D("0.11"),
    )
    assert payment(D(10), D(110), D("0.1"), D(50), is_short=False) == -50


def test_a_short_is_sold_to_open_and_bought_to_close() -> None:
    rows: list[Row] = [FLAT, FLAT, (95, 96, 90, 91), (90, 90, 90, 90)]
    found = trade(rows, [NONE, SELL, NONE, BUY])
    assert told(found) == [("sell", "signal", D(100), 4), ("buy", "signal", D(90), 12)]
    assert [order.is_entry for order in found.orders] == [True, False]
    # 10 units from 100 to 90.
    assert (found.orders[-1].pnl, found.quote, found.base) == (D(100), D(1100), D(0))


def test_a_bot_sells_short_only_in_the_directions_it_is_set_to() -> None:
    rows, said = [FLAT] * 6, [NONE, SELL, BUY, NONE, SELL, NONE]
    sides = {way: [o.side for o in trade(rows, said, direction=way).orders] for way in DIRECTIONS}
    assert sides == {
        "long": ["buy", "sell"],
        "short": ["sell", "buy", "sell"],
        "both": ["sell", "buy", "sell"],
    }


DIRECTIONS = ("long", "short", "both")


@pytest.mark.parametrize(
    ("row", "reason", "price", "quarter"),
    [
        ((100, 106, 89, 100), "stop_loss", "105", 9),  # both touched: the stop comes first
        ((100, 104, 89, 100), "take_profit", "90", 10),
        ((106, 107, 80, 90), "stop_loss", "106", 8),  # the price jumped over its stop
        ((100, 120, 100, 120), "stop_loss", "105", 9),  # the liquidation lies farther away
        ((108, 109, 80, 90), "liquidation", "110", 8),  # it jumped over both
    ],
)
def test_the_way_through_a_candle_goes_against_a_short_first(
    row: Row, reason: str, price: str, quarter: int
) -> None:
    levels = {"stop_loss_perc": D(5), "take_profit_perc": D(10)}
    found = trade([FLAT, FLAT, row, FLAT], [NONE, SELL, NONE, NONE], **levels)
    assert told(found)[1:] == [("buy", reason, D(price), quarter)]


@pytest.mark.parametrize(
    ("said", "low", "high", "end"), [(BUY, 92, 100, 90), (SELL, 100, 108, 110)]
)
def test_a_liquidation_costs_the_whole_margin_and_nothing_more(
    said: int, low: float, high: float, end: int
) -> None:
    rows: list[Row] = [FLAT, FLAT, (100, high, low, 100), FLAT]
    plan = plan_of(rows, costs=Costs(fee_rate=D("0.001"), slippage=D(0)))
    result = run(plan, bytes([NONE, said, NONE, NONE]))
    assert told(result)[1:] == [(("sell" if said == BUY else "buy"), "liquidation", D(end), 9)]
    # 100 of margin, and 1 for the entry's fee.
    assert (result.quote, result.orders[-1].fee, result.orders[-1].pnl) == (D(899), D(0), D(-101))
    found = report(plan, result)
    assert (found.liquidations, found.gross, found.fees, found.pnl) == (1, D(-100), D(1), D(-101))


def test_a_liquidation_that_lies_nearer_than_the_stop_comes_first() -> None:
    rows: list[Row] = [FLAT, FLAT, (100, 106, 89, 100)]
    terms = replace(STILL, maintenance=D("0.07"))  # at 102.80; a bot reckons with 107.32
    found = trade(rows, [NONE, SELL, NONE], stop_loss_perc=D(5), terms=terms)
    assert told(found)[1:] == [("buy", "liquidation", D(110), 9)]


def test_an_entry_whose_stop_would_never_work_is_not_sent_as_by_a_live_bot() -> None:
    rows, said = [FLAT, FLAT], [NONE, SELL]
    assert trade(rows, said, stop_loss_perc=D(8)).orders == ()
    assert len(trade(rows, said, stop_loss_perc=D(7)).orders) == 1
    # That estimate is the bot's own: what the plan assumes besides does not change its orders.
    assert trade(rows, said, stop_loss_perc=D(8), terms=Terms(maintenance=D("0.004"))).orders == ()


def test_the_margin_is_not_free_and_leverage_divides_it_alone() -> None:
    rows, said = [FLAT, FLAT], [NONE, BUY]
    assert trade(rows, said, position_size_fixed=D(1001), leverage=1).orders == ()
    walk = Carry(plan_of(rows, position_size_fixed=D(5000)), bytes(said))
    walk.run(())
    account = walk.account
    assert (account.wallet, account.margin, account.free) == (D(1000), D(500), D(500))


def test_funding_is_paid_at_its_times_at_the_rates_that_are_known() -> None:
    rates = Rates(told=((T + 8 * HOUR, D("-0.0003")),), asked=((T, T + 10 * HOUR),))
    terms = replace(STILL, funding_rate=D("0.0001"), rates=rates)
    rows: list[Row] = [*[FLAT] * 8, (110, 110, 110, 110), *[FLAT] * 7, (120, 120, 120, 120), FLAT]
    plan = plan_of(rows, terms=terms)
    result = run(plan, bytes([NONE, BUY, *[NONE] * 14, SELL, NONE]))
    # A long of 10 units receives 10 x 110 x 0.03 %, then pays 10 x 120 x 0.01 %, and then leaves.
    assert [(p.amount, p.is_assumed) for p in result.funding] == [
        (D("0.33"), False),
        (D("-0.12"), True),
    ]
    found = report(plan, result)
    assert (found.funding, found.payments, found.assumed) == (D("0.21"), 2, 1)
    assert (found.gross, found.pnl, found.value) == (D(200), D("200.21"), D("1200.21"))
    assert [day.pnl for day in result.days.values()] == [D("200.21")]
    # Who enters at a funding time does not pay it.
    short = trade(rows, [*[NONE] * 16, SELL, NONE], terms=terms)
    assert (len(short.orders), short.funding) == (1, ())


def test_funding_inside_a_candle_or_a_gap_is_paid_too() -> None:
    day = 24 * HOUR
    terms = replace(STILL, funding_rate=D("0.001"))
    rows = [(T + n * day, *row, 1.0) for n, row in ((0, FLAT), (1, FLAT), (4, (102,) * 4))]
    plan = plan_on(Candles.from_rows(RULES.symbol, "1d", rows), terms=terms)
    result = run(plan, bytes([NONE, SELL, NONE]))
    hours = [(paid.at - T) // HOUR for paid in result.funding]
    assert hours == list(range(32, 120, 8))
    # Between two candles the last close counts; at an opening and after it the opening.
    assert [paid.amount for paid in result.funding] == [D(1)] * 8 + [D("1.02")] * 3


def test_funding_that_the_wallet_lacks_comes_out_of_the_margin() -> None:
    terms = replace(STILL, funding_rate=D("0.01"))
    plan = replace(plan_of([FLAT] * 10, terms=terms), funds=D(101))
    walk = Carry(plan, bytes([NONE, BUY, *[NONE] * 8]))
    walk.run(())
    # 10 of which 1 was free: 91 of margin are left, and 909 / 9.75 is where it ends.
    account = walk.account
    assert (account.wallet, account.margin, account.free) == (D(91), D(91), D(0))
    assert round(account.limit or 0, 6) == D("93.230769")


def test_what_cannot_be_held_is_said() -> None:
    plan = plan_of([FLAT])
    with pytest.raises(Unsupported, match="liquidated at once"):
        run(replace(plan, settings=replace(plan.settings, leverage=40)))
    with pytest.raises(Unsupported, match="on perpetuals, not by limit"):
        run(replace(plan, settings=replace(plan.settings, entry_type=OrderType.LIMIT)))
    with pytest.raises(Unsupported, match="from 0 up to 100"):
        run(replace(plan, terms=Terms(maintenance=D(1))))
    grid = get("dca")
    with pytest.raises(Unsupported, match="ladder"):
        run(replace(plan, strategy=grid, values=clean(grid, {})))


def test_a_sweep_tries_each_set_as_a_whole_backtest() -> None:
    candles = from_closes(random_walk(400, seed=3, start=100.0, step=0.01))
    plan = plan_on(candles, costs=Costs(), terms=Terms(every_ms=20 * 60_000))
    (one,) = sweep(plan, [{"stop_loss_perc": "2"}])
    exact = replace(plan, settings=replace(plan.settings, stop_loss_perc=D(2)))
    found = report(exact, run(exact))
    assert (one.pnl, one.value) == (float(found.pnl), float(found.value))
    assert found.summary.trades > 3
    assert found.payments > 0


# -- At random ------------------------------------------------------------------------------------
percents = st.decimals("0.1", "6", places=2)
maybe = st.one_of(st.none(), percents)
chosen = st.fixed_dictionaries(
    {
        "leverage": st.integers(1, 20),
        "direction": st.sampled_from(DIRECTIONS),
        "stop_loss_perc": maybe,
        "take_profit_perc": maybe,
        "trailing_stop_perc": percents,
        "trailing_stop_active": st.booleans(),
        "max_daily_loss_perc": maybe,
        "loss_includes_open": st.booleans(),
    }
)
costs = st.builds(
    Costs,
    fee_rate=st.decimals("0", "0.002", places=5),
    slippage=st.decimals("0", "0.002", places=6),
    spread=st.sampled_from([D(0), D("0.0013")]),
)
walks = st.builds(
    lambda seed, step: from_closes(random_walk(200, seed=seed, start=100.0, step=step)),
    st.integers(0, 10**6),
    st.sampled_from([0.002, 0.01, 0.03]),
)
words = st.lists(st.sampled_from(b"\x00\x00\x00\x01\x02"), min_size=200, max_size=200).map(bytes)
terms = st.builds(
    Terms,
    maintenance=st.sampled_from([D("0.004"), D("0.025"), D("0.045")]),
    funding_rate=st.decimals("-0.003", "0.003", places=4),
    every_ms=st.just(20 * 60_000),
)


class Slow(Carry):
    """Passes over nothing."""

    def _next(self, at: int) -> int | None:
        return at if at < len(self.candles) else None


@settings(max_examples=20, deadline=None)
@given(candles=walks, said=words, values=chosen, cost=costs, held=terms, cut=st.integers(1, 199))
def test_sums_hold_nothing_is_foreseen_and_passing_over_changes_nothing(
    candles: Candles, said: bytes, values: dict[str, Any], cost: Costs, held: Terms, cut: int
) -> None:
    plan = plan_on(candles, costs=cost, terms=held, **values)
    result = run(plan, said)
    found = report(plan, result)
    # The account is its funds, what its fills moved, and what it paid and received.
    moved = sum(((-1 if o.side == "buy" else 1) * o.value - o.fee for o in result.orders), D(0))
    paid = sum((one.amount for one in result.funding), D(0))
    assert result.quote == plan.funds + moved + paid
    assert found.gross - found.fees + found.funding == found.value - plan.capital
    assert found.pnl + found.open_pnl == found.value - plan.capital
    assert sum(day.pnl for day in result.days.values()) == found.pnl
    assert found.points[-1].value == found.pnl if found.points else not found.pnl
    # What came out until then does not change with what comes later.
    part = run(replace(plan, candles=candles.cut(0, cut)), said[:cut])
    assert part.orders == result.orders[: len(part.orders)]
    assert part.funding == result.funding[: len(part.funding)]
    until = candles.times[cut - 1]
    assert all(order.at > until for order in result.orders[len(part.orders) :])
    assert Slow(plan, said).run(()) == result


@settings(max_examples=40)
@given(
    value=st.decimals("10", "100000", places=2),
    leverages=st.tuples(st.integers(1, 39), st.integers(1, 39)),
    rate=st.sampled_from([D("0.004"), D("0.025")]),
)
def test_more_leverage_never_moves_the_liquidation_away(
    value: Decimal, leverages: tuple[int, int], rate: Decimal
) -> None:
    low, high = (value / leverage for leverage in sorted(leverages))
    for is_short in (False, True):
        far, near = (
            liquidated_at(value, D(10), margin, rate, is_short=is_short) or D(0)
            for margin in (low, high)
        )
        assert near <= far if is_short else near >= far


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), said=words, stop=maybe, target=maybe)
def test_a_short_on_mirrored_candles_moves_as_the_long_did(
    seed: int, said: bytes, stop: Decimal | None, target: Decimal | None
) -> None:
    """Mirrored around 100, where each candle opens, so that units are equal.

    With a maintenance margin the two liquidations would not lie equally far away.
    """
    moves = [round(one - 100, 2) for one in random_walk(200, seed=seed, start=100.0, step=0.004)]
    signs = {1: BUY, -1: SELL}
    found = []
    for sign in (1, -1):
        rows: list[Row] = []
        for move in moves:
            ends = sorted((100.0, round(100 + sign * move, 2)))
            rows.append((100.0, ends[1], ends[0], round(100 + sign * move, 2)))
        word = bytes(signs[sign] if one == BUY else NONE for one in said)
        values: dict[str, Any] = {"stop_loss_perc": stop, "take_profit_perc": target, "leverage": 9}
        values["terms"] = replace(STILL, maintenance=D(0))
        result = run(plan_of(rows, **values), word)
        found.append([(o.at, o.reason, o.pnl, o.is_entry) for o in result.orders])
    assert found[0] == found[1]
