"""Ledgers computed by hand, reproduced to the last decimal: every kind of fee, both directions."""

from dataclasses import dataclass, field

import pytest

from tests.trading.values import D
from trading.market import Side
from trading.position import BookedFill, Position, apply, fund


def fill(side: str, amount: str, quote: str, fee: str, **more: str) -> BookedFill:
    rest = {name: D(value) for name, value in more.items()}
    return BookedFill(side=Side(side), amount=D(amount), quote=D(quote), fee_quote=D(fee), **rest)  # type: ignore[arg-type]


def contract(side: str, amount: str, quote: str, fee: str, fee_base: str = "0") -> BookedFill:
    return BookedFill(
        side=Side(side),
        amount=D(amount),
        quote=D(quote),
        fee_quote=D(fee),
        fee_base=D(fee_base),
        futures=True,
    )


@dataclass
class Row:
    """One step of a ledger and what is known after it."""

    step: BookedFill | D
    realized: str
    side: str
    amount: str
    cost: str
    entry: str | None = field(default=None)


#: Fees in a third coin come converted: 0.0125 BNB at 600 are 7.5, and so on.
BNB_FEES = [
    Row(fill("buy", "0.5", "10000", "7.5"), "0", "long", "0.5", "10007.5", "20000"),
    Row(
        fill("buy", "0.25", "5100", "3.825"),
        "0", "long", "0.75", "15111.325", "20133.333333333333333333",
    ),
    # 15111.325 x 0.3 / 0.75 = 6044.53
    Row(
        fill("sell", "0.3", "6300", "4.725"),
        "250.745", "long", "0.45", "9066.795", "20133.333333333333333333",
    ),
    Row(fill("sell", "0.45", "8955", "6.71625"), "-118.51125", "", "0", "0"),
]  # fmt: skip
BASE_COIN_FEES = [
    Row(fill("buy", "1", "100", "0.1", fee_base="0.001"), "0", "long", "0.999", "100", "100"),
    Row(
        fill("sell", "0.333", "39.96", "0.03996"),
        "6.586706666666666667", "long", "0.666", "66.666666666666666667", "100",
    ),
    # What is left, 0.0005, is below the dust of 0.001: closed, and its cost stays with it.
    Row(
        fill("sell", "0.6655", "59.895", "0.059895", dust="0.001"),
        "-6.781511616616616617", "", "0.0005", "0.05005005005005005",
    ),
    Row(
        fill("buy", "1", "80", "0.08", fee_base="0.001"),
        "0", "long", "0.9995", "80.05005005005005005", "80",
    ),
    # The fee of this sale is taken in the sold coin: 0.999 sold and 0.0005 gone.
    Row(
        fill("sell", "0.999", "89.91", "0.045", fee_base="0.0005"),
        "9.85994994994994995", "", "0", "0",
    ),
]  # fmt: skip
FUTURES = [
    Row(contract("sell", "2", "200", "0.08"), "0", "short", "2", "199.92", "100"),
    Row(D("0.05"), "0.05", "short", "2", "199.92", "100"),
    Row(contract("sell", "1", "103", "0.0412"), "0", "short", "3", "302.8788", "101"),
    Row(contract("buy", "1", "95", "0.038"), "5.9216", "short", "2", "201.9192", "101"),
    Row(D("-0.12"), "-0.12", "short", "2", "201.9192", "101"),
    # 2 of 5 close the short (196 and 0.0784 of the fee), 3 open a long.
    Row(contract("buy", "5", "490", "0.196"), "5.8408", "long", "3", "294.1176", "98"),
    Row(contract("sell", "1.5", "156", "0.0624"), "8.8788", "long", "1.5", "147.0588", "98"),
    Row(D("-0.03"), "-0.03", "long", "1.5", "147.0588", "98"),
    # 1.5 of 4 close the long (151.5 and 0.0606), 2.5 open a short.
    Row(contract("sell", "4", "404", "0.1616"), "4.3806", "short", "2.5", "252.399", "101"),
    Row(contract("buy", "2.5", "252.5", "0.101"), "-0.202", "", "0", "0"),
]
UNEVEN_FLIP = [
    Row(contract("buy", "3", "30", "0.01"), "0", "long", "3", "30.01", "10"),
    # 3 of 7: quote 42.857142857142857143 (rounded up), fee 0.042857142857142857.
    Row(
        contract("sell", "7", "100", "0.1"),
        "12.804285714285714286", "short", "4", "57.085714285714285714", "14.285714285714285714",
    ),
    Row(contract("buy", "4", "50", "0.1"), "6.985714285714285714", "", "0", "0"),
]  # fmt: skip
LIQUIDATION = [
    # A fee in contracts' base coin takes no contract away: its value is charged once.
    Row(contract("buy", "1", "100", "0.05", fee_base="0.0005"), "0", "long", "1", "100.05", "100"),
    Row(contract("sell", "1", "90.5", "1.1765"), "-10.7265", "", "0", "0"),
]
LEDGERS = {
    "BNB fees": (BNB_FEES, "132.23375"),
    "base-coin fees": (BASE_COIN_FEES, "9.665145"),
    "shorts, flips and funding": (FUTURES, "24.7198"),
    "a flip that does not divide": (UNEVEN_FLIP, "19.79"),
    "liquidation": (LIQUIDATION, "-10.7265"),
}


@pytest.mark.parametrize(("rows", "total"), LEDGERS.values(), ids=LEDGERS)
def test_a_ledger_is_reproduced_to_the_last_decimal(rows: list[Row], total: str) -> None:
    position, profit = Position(), D(0)
    for row in rows:
        step = row.step
        position, realized = (
            apply(position, step) if isinstance(step, BookedFill) else fund(position, step)
        )
        profit += realized
        assert realized == D(row.realized)
        assert (position.side, position.amount, position.cost, position.entry_price) == (
            row.side,
            D(row.amount),
            D(row.cost),
            None if row.entry is None else D(row.entry),
        )
    assert profit == D(total)


def test_open_profit_and_signed_amount_of_both_directions() -> None:
    short, _ = apply(Position(), contract("sell", "2", "200", "0.08"))
    assert (short.signed_amount, short.exit_side) == (D(-2), Side.BUY)
    assert short.unrealized(D(90)) == D("19.92")
    assert short.unrealized(D(110)) == D("-20.08")
    long, _ = apply(Position(), contract("buy", "2", "200", "0.08"))
    assert (long.signed_amount, long.exit_side) == (D(2), Side.SELL)
    assert long.unrealized(D(110)) == D("19.92")
    assert (Position().side, Position().exit_side) == ("", Side.SELL)


def test_futures_know_no_dust() -> None:
    short, _ = apply(Position(), contract("sell", "1", "100", "0"))
    nearly = BookedFill(
        side=Side.BUY, amount=D("0.9999"), quote=D(99), fee_quote=D(0), dust=D(1), futures=True
    )
    left, _ = apply(short, nearly)
    assert (left.side, left.amount) == ("short", D("0.0001"))


def test_a_spot_sale_never_opens_a_short() -> None:
    position, _ = apply(Position(), fill("sell", "1", "100", "0.1"))
    assert (position.side, position.is_open, position.is_short) == ("", False, False)
    assert position.amount == D(-1)
