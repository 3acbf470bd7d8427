"""What an API key may do, as far as the exchange tells."""

from collections.abc import Callable, Mapping
from typing import Any

from trading.exchanges.answers import bad
from trading.exchanges.errors import Call
from trading.market import KeyRights


def spot_rights(read: Callable[..., Any], *, is_testnet: bool) -> KeyRights:
    """Return the rights of a Binance key. `read` asks ccxt; may raise ExchangeError.

    The testnet tells only of spot.
    """
    if is_testnet:
        account = read(Call.READ, "private_get_account")
        return KeyRights(may_trade=_flag(account, "canTrade"))
    said = read(Call.READ, "sapi_get_account_apirestrictions")
    return KeyRights(
        may_trade=_flag(said, "enableSpotAndMarginTrading"),
        # A right that must be given expressly: where nothing is said of it, it is not there.
        may_trade_futures=said.get("enableFutures") is True,
        may_withdraw=_flag(said, "enableWithdrawals"),
        ip_bound=_flag(said, "ipRestrict"),
    )


def futures_rights(read: Callable[..., Any]) -> KeyRights:
    """Return the rights of a Binance key on futures, which it must have been given expressly."""
    said = read(Call.READ, "sapi_get_account_apirestrictions")
    return KeyRights(
        may_trade=_flag(said, "enableFutures"),
        may_trade_futures=_flag(said, "enableFutures"),
        may_withdraw=_flag(said, "enableWithdrawals"),
        ip_bound=_flag(said, "ipRestrict"),
    )


def _flag(answer: object, name: str) -> bool:
    value = answer.get(name) if isinstance(answer, Mapping) else None
    if not isinstance(value, bool):
        raise bad(f"the answer about the key says nothing of {name}")
    return value
