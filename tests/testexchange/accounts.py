"""Accounts, their API keys and their wallets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.testexchange.errors import ApiError
from tests.testexchange.money import ZERO, number

PERMISSIONS = {
    "canTrade": True,
    "enableReading": True,
    "enableWithdrawals": False,
    "ipRestrict": False,
    "enableFutures": False,
    "permitsUniversalTransfer": False,
}


@dataclass(slots=True)
class Balance:
    free: Decimal = ZERO
    locked: Decimal = ZERO


@dataclass(kw_only=True)
class ApiKey:
    """A key of an account; `permissions` as in PERMISSIONS."""

    api_key: str
    secret: str
    account: Account
    permissions: dict[str, bool]
    created_ms: int
    revoked: bool = False


@dataclass(kw_only=True)
class Account:
    """A wallet. `deposits` came from outside; `last_change_ms` is the time of the last booking."""

    name: str
    uid: int
    wallet: dict[str, Balance] = field(default_factory=dict)
    deposits: dict[str, Decimal] = field(default_factory=dict)
    last_change_ms: int = 0

    def balance(self, asset: str) -> Balance:
        return self.wallet.setdefault(asset, Balance())

    def set_free(self, asset: str, free: Decimal) -> None:
        """Deposits or withdraws so that `free` is free."""
        balance = self.balance(asset)
        self.deposits[asset] = self.deposits.get(asset, ZERO) + free - balance.free
        balance.free = free

    def move_out(self, asset: str, amount: Decimal, now_ms: int) -> None:
        """Moves free funds to another wallet of the same owner, or back when negative."""
        self.balance(asset).free -= amount
        self.deposits[asset] = self.deposits.get(asset, ZERO) - amount
        self.last_change_ms = now_ms

    def dump(self) -> dict[str, dict[str, str]]:
        return {
            asset: {"free": number(balance.free), "locked": number(balance.locked)}
            for asset, balance in sorted(self.wallet.items())
        }


class Accounts:
    """All accounts by name and all keys by their public part."""

    def __init__(self) -> None:
        self.by_name: dict[str, Account] = {}
        self.keys: dict[str, ApiKey] = {}

    def add(
        self,
        name: str,
        *,
        api_key: str,
        secret: str,
        now_ms: int,
        balances: Mapping[str, Any] | None = None,
        permissions: Mapping[str, bool] | None = None,
    ) -> None:
        """A new account with its first key, or one more key of an old one."""
        account = self.by_name.get(name)
        if account is None:
            account = self.by_name[name] = Account(name=name, uid=1000 + len(self.by_name))
        for asset, free in (balances or {}).items():
            account.set_free(asset, Decimal(str(free)))
        key = ApiKey(
            api_key=api_key,
            secret=secret,
            account=account,
            permissions=dict(PERMISSIONS),
            created_ms=now_ms,
        )
        self.keys[api_key] = key
        self.permit(api_key, permissions or {})

    def permit(self, api_key: str, permissions: Mapping[str, bool]) -> None:
        unknown = set(permissions) - set(PERMISSIONS)
        if unknown:
            raise ValueError(f"unknown permissions: {', '.join(sorted(unknown))}")
        self.keys[api_key].permissions.update(permissions)

    def find(self, api_key: str) -> ApiKey:
        """The key that a request names; -2014 malformed or missing, -2015 unknown or revoked."""
        if not (8 <= len(api_key) <= 128 and api_key.isascii() and api_key.isprintable()):
            raise ApiError(-2014)
        if not api_key.replace("-", "").replace("_", "").isalnum():
            raise ApiError(-2014)
        key = self.keys.get(api_key)
        if key is None or key.revoked:
            raise ApiError(-2015)
        return key
