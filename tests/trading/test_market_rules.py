"""From ccxt's markets to rules: steps, limits, contracts."""

from decimal import Decimal as D
from typing import Any

import pytest

from trading.exchanges.markets import DECIMAL_PLACES, TICK_SIZE, market_rules


def market(**changes: Any) -> dict[str, Any]:
    """Return a perpetual as ccxt tells it, whose contracts are a hundredth of a coin."""
    return {
        "symbol": "BTC/USDT:USDT",
        "base": "BTC",
        "quote": "USDT",
        "active": True,
        "contractSize": "0.01",
        "precision": {"amount": "0.1", "price": "0.5"},
        "limits": {"amount": {"min": "2", "max": "500"}, "cost": {"min": "5"}},
        "taker": "0.0005",
        "maker": "0.0002",
        **changes,
    }


def test_contracts_become_base_currency():
    rules = market_rules(market(), TICK_SIZE)
    assert (rules.amount_step, rules.price_tick) == (D("0.001"), D("0.5"))
    assert (rules.min_amount, rules.max_amount, rules.min_notional) == (D("0.02"), D(5), D(5))
    assert (rules.taker_fee, rules.maker_fee) == (D("0.0005"), D("0.0002"))


@pytest.mark.parametrize("size", [None, "1", "0"])
def test_without_a_contract_size_amounts_are_base_currency_already(size: str | None):
    rules = market_rules(market(contractSize=size), TICK_SIZE)
    assert (rules.amount_step, rules.min_amount, rules.max_amount) == (D("0.1"), D(2), D(500))


def test_the_smallest_limits_bind_and_missing_ones_do_not():
    limits = {"amount": {"min": "2", "max": "500"}, "market": {"min": "0", "max": "100"}}
    assert market_rules(market(limits=limits, contractSize=None), TICK_SIZE).max_amount == 100
    free = market_rules(market(limits={}), TICK_SIZE)
    assert (free.min_amount, free.max_amount, free.min_notional) == (0, None, 0)


def test_digits_are_steps_too():
    rules = market_rules(market(precision={"amount": "3", "price": "1"}), DECIMAL_PLACES)
    assert (rules.amount_step, rules.price_tick) == (D("0.00001"), D("0.1"))
