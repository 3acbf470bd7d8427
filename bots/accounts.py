"""What workers ask exchanges so that pages need not: key rights, balances, market rules."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from bots.connect import account_exchange, feed_of
from bots.lifecycle import Mode, PositionType
from bots.models import Account, ApiKey, Balance, Market, PaperBalance
from bots.models.fields import plain
from bots.outcome import key_message_for
from bots.world import World
from trading.exchange import ExchangeError, Fault, Refused
from trading.market import Holding, KeyRights, Rules

WITHDRAWS = "this key may withdraw: make one that may only read and trade"
MAY_NOT_TRADE = {
    PositionType.SPOT: "this key may not trade on spot",
    PositionType.FUTURES: "this key may not trade futures, and a bot of this account does",
}
#: How the perpetuals are spelt that bots trade: others are margined in other currencies.
PERPETUAL = "/USDT:USDT"


def check_key(key_id: int) -> ApiKey | None:
    """Ask the exchange what a key may do and write the answer on its row.

    A key that may withdraw is refused (is_valid False), and so is one that may not trade what the
    account's bots trade: spot, where there are none yet. While the exchange cannot be asked the
    key stays unchecked (is_valid None). None: the key is gone.
    """
    key = ApiKey.objects.select_related("account").filter(pk=key_id).first()
    if key is None:
        return None
    try:
        rights = account_exchange(key.account).rights()
    except Refused as error:
        _write(key, valid=False, fault=error.fault, detail=error.text, rights=KeyRights())
    except ExchangeError as error:
        _write(key, valid=key.is_valid, fault=error.fault, detail=error.text, rights=None)
    else:
        refused = WITHDRAWS if rights.may_withdraw else _missing_right(key, rights)
        fault = Fault.KEY_RIGHTS if refused else None
        _write(key, valid=not refused, fault=fault, detail=refused, rights=rights)
        # Whoever has just added a key looks for the balance next.
        refresh_balance(key.account_id)
    return key


def _missing_right(key: ApiKey, rights: KeyRights) -> str:
    """Return what a bot of the account wants to trade and the key may not, "" for nothing."""
    bots = key.account.bots.alive()
    wanted = set(bots.values_list("position_type", flat=True)) or {PositionType.SPOT.value}
    may = {PositionType.SPOT: rights.may_trade, PositionType.FUTURES: rights.may_trade_futures}
    missing = [kind for kind in PositionType if kind in wanted and may[kind] is False]
    return MAY_NOT_TRADE[missing[0]] if missing else ""


def _write(
    key: ApiKey, *, valid: bool | None, fault: Fault | None, detail: str, rights: KeyRights | None
) -> None:
    key.is_valid = valid
    key.check_fault = fault.value if fault else ""
    key.check_message = key_message_for(fault, detail)[:500] if fault else ""
    changed = ["is_valid", "check_fault", "check_message"]
    if rights is not None:
        key.may_trade, key.may_withdraw = rights.may_trade, rights.may_withdraw
        key.may_trade_futures = rights.may_trade_futures
        key.ip_bound, key.checked_at = rights.ip_bound, timezone.now()
        changed += ["may_trade", "may_trade_futures", "may_withdraw", "ip_bound", "checked_at"]
    key.save(update_fields=changed)


def refresh_balance(account_id: int) -> Balance | None:
    """Read an account's holdings into its Balance row; a failure keeps the old ones with a note."""
    account = Account.objects.filter(pk=account_id).first()
    if account is None:
        return None
    if account.mode == Mode.PAPER:
        rows = PaperBalance.objects.filter(account=account)
        return _store(account, {row.currency: Holding(free=row.units) for row in rows})
    try:
        spot = account_exchange(account).balance()
        return _store(account, spot, _futures_balance(account))
    except ExchangeError as error:
        text = key_message_for(error.fault, error.text)[:500]
        failure = {"fault": error.fault.value, "message": text}
        balance, _ = Balance.objects.update_or_create(account=account, defaults=failure)
        return balance


def _futures_balance(account: Account) -> Mapping[str, Holding]:
    """Return what the futures wallet holds; nothing where the key may not look into it."""
    if not ApiKey.objects.filter(account=account, may_trade_futures=True).exists():
        return {}
    try:
        return account_exchange(account, PositionType.FUTURES).balance()
    except Refused:
        # The same key was good for spot a moment ago: it has lost this right since its check.
        return {}


def _store(
    account: Account, spot: Mapping[str, Holding], futures: Mapping[str, Holding] | None = None
) -> Balance:
    now = timezone.now()
    balance, _ = Balance.objects.update_or_create(
        account=account,
        defaults={
            "spot": _totals(spot),
            "futures": _totals(futures or {}),
            "as_of": now,
            "fault": "",
            "message": "",
        },
    )
    return balance


def _totals(holdings: Mapping[str, Holding]) -> dict[str, str]:
    return {currency: plain(held.total) for currency, held in sorted(holdings.items())}


def refresh_markets(
    exchange: str,
    mode: str,
    position_type: str = PositionType.SPOT,
    *,
    max_age: timedelta = timedelta(0),
) -> int:
    """Read an exchange's rules of spot or futures into Market rows. Returns how many there are.

    Rows younger than `max_age` are left alone. Symbols that vanished are kept, not tradable.
    """
    rows = Market.objects.of(position_type).filter(exchange=exchange, mode=mode)
    newest = rows.order_by("-as_of").values_list("as_of", flat=True).first()
    now = timezone.now()
    if newest is not None and now - newest < max_age:
        return rows.count()
    rules = feed_of(exchange, mode, World(), position_type).symbols()
    markets = [
        _market(exchange, mode, one)
        for one in rules.values()
        if position_type == PositionType.SPOT or one.symbol.endswith(PERPETUAL)
    ]
    pairs = Counter(market.base for market in markets)
    for market in markets:
        market.as_of, market.pairs = now, pairs[market.base]
    columns = [field.name for field in Market._meta.concrete_fields if field.name != "id"]
    unique = ["exchange", "mode", "symbol"]
    with transaction.atomic():
        Market.objects.bulk_create(
            markets,
            batch_size=500,
            update_conflicts=True,
            unique_fields=unique,
            update_fields=[name for name in columns if name not in unique],
        )
        rows.exclude(as_of=now).update(is_tradable=False)
    return len(markets)


def _market(exchange: str, mode: str, rules: Rules) -> Market:
    return Market(
        exchange=exchange,
        mode=mode,
        symbol=rules.symbol,
        base=rules.base,
        quote=rules.quote,
        is_tradable=rules.active,
        amount_step=rules.amount_step,
        price_tick=rules.price_tick,
        min_amount=rules.min_amount or Decimal(0),
        min_notional=rules.min_notional or Decimal(0),
        taker_fee=rules.taker_fee,
    )
