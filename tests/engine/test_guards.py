"""The database itself refuses a bot on somebody else's account."""

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError

from bots import control
from bots.models import Account, BotConfig

if TYPE_CHECKING:
    from bots.models import User


def make_bot(owner: "User") -> BotConfig:
    values = {"name": "mine", "symbol": "BTC/USDT", "position_size_fixed": Decimal(50)}
    return control.create(owner, values)


@pytest.fixture
def foreign_account(mallory: "User") -> Account:
    return Account.objects.create(owner=mallory, exchange="simulated", mode="paper", label="hers")


def test_a_bot_cannot_be_moved_to_a_foreign_account(
    alice: "User", foreign_account: Account
) -> None:
    bot = make_bot(alice)
    with pytest.raises(IntegrityError, match="belongs to another user"):
        BotConfig.objects.filter(pk=bot.pk).update(account=foreign_account)


def test_a_bot_cannot_be_made_on_a_foreign_account(alice: "User", foreign_account: Account) -> None:
    with pytest.raises(IntegrityError, match="belongs to another user"):
        BotConfig.objects.create(
            owner=alice,
            name="theirs",
            symbol="BTC/USDT",
            position_size_fixed=Decimal(50),
            account=foreign_account,
        )
