"""Money in the database: every one of 38 digits, on SQLite and on PostgreSQL."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from bots.models import BotState, PaperBalance
from bots.models.fields import plain
from tests.engine.bench import D
from tests.engine.conftest import Maker

VALUES = [
    "0",
    "1",
    "-1",
    "0.000000000000000001",
    "-0.000000000000000001",
    "12345678901234567890.123456789012345678",
    "99999999999999999999.999999999999999999",
    "-99999999999999999999.999999999999999999",
    "0.1",
    "100000",
    "1E+5",
    "5.00",
    "9007199254740993",
]


@pytest.mark.parametrize("text", VALUES)
def test_no_digit_is_lost(bench: Maker, text: str) -> None:
    b = bench()
    BotState.objects.filter(pk=b.bot.pk).update(daily_pnl=D(text))
    found = b.state.daily_pnl
    assert isinstance(found, Decimal)
    assert found == D(text)
    assert BotState.objects.filter(pk=b.bot.pk, daily_pnl=D(text)).exists()


@pytest.mark.parametrize(
    ("text", "rounded"),
    [
        ("0.0000000000000000005", "0"),
        ("0.0000000000000000015", "0.000000000000000002"),
        ("1.0000000000000000001", "1"),
    ],
)
def test_what_is_finer_than_18_decimals_is_rounded_half_to_even(
    bench: Maker, text: str, rounded: str
) -> None:
    b = bench()
    BotState.objects.filter(pk=b.bot.pk).update(daily_pnl=D(text))
    assert b.state.daily_pnl == D(rounded)


def test_equal_amounts_are_stored_as_equal_text(bench: Maker) -> None:
    """SQLite compares text: one amount must have one spelling."""
    b = bench()
    for text in ("5", "5.0", "5.000", "0.5E+1"):
        BotState.objects.filter(pk=b.bot.pk).update(daily_pnl=D(text))
        with connection.cursor() as cursor:
            cursor.execute("SELECT daily_pnl FROM bots_botstate WHERE bot_id = %s", [b.bot.pk])
            stored = cursor.fetchone()[0]
        if connection.vendor == "sqlite":
            assert stored == "5"
        else:
            assert stored == D(5)


def test_none_stays_none_and_the_default_is_zero(bench: Maker) -> None:
    state = bench().state
    assert state.entry_price is None
    assert state.daily_pnl == D(0)


def test_a_row_made_and_read_again_is_the_same(bench: Maker) -> None:
    b = bench()
    assert b.bot.account is not None
    row = PaperBalance.objects.create(
        account=b.bot.account, currency="SHIB", units=D("123456789012.000000000000000009")
    )
    row.refresh_from_db()
    assert row.units == D("123456789012.000000000000000009")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1E+30"])
def test_what_is_no_amount_is_refused_by_a_form(bench: Maker, text: str) -> None:
    b = bench()
    b.bot.initial_capital = D(text)
    with pytest.raises(ValidationError) as refused:
        b.bot.full_clean()
    assert "initial_capital" in refused.value.message_dict


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E+5", "100000"),
        ("5.00", "5"),
        ("-0.0", "0"),
        ("0E-18", "0"),
        ("1E-18", "0.000000000000000001"),
        ("-12.340", "-12.34"),
    ],
)
def test_plain_text_has_no_exponent_and_no_idle_zeros(value: str, text: str) -> None:
    assert plain(D(value)) == text
