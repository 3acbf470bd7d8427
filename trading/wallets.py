"""The wallets of one account at an exchange, and what moves funds between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol


class Wallet(StrEnum):
    SPOT = "spot"
    FUTURES = "futures"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferReport:
    """One transfer that the exchange lists; `is_done`: it counts in both wallets. `at`: Unix ms."""

    transfer_id: str
    currency: str
    amount: Decimal
    at: int
    is_done: bool


class Wallets(Protocol):
    """An account with several wallets. Every method may raise ExchangeError."""

    def now(self) -> int:
        """Return the exchange's time, Unix ms."""
        ...

    def transfer(self, currency: str, amount: Decimal, source: Wallet, target: Wallet) -> str:
        """Move funds, once; returns the exchange's id of the transfer.

        Rejected or Refused: a clear no. Unreachable: outcome unknown unless `sent` is False.
        """
        ...

    def transfers(
        self, currency: str, source: Wallet, *, since: int, until: int
    ) -> Sequence[TransferReport]:
        """Return the transfers of a currency out of a wallet between two moments (Unix ms)."""
        ...
