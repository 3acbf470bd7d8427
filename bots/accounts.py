"""What workers ask exchanges so that pages need not: key rights, balances, market rules."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from bots.connect import account_exchange, feed_of
from bots.lifecycle import Mode
from bots.models import Account, ApiKey, Balance, Market, PaperBalance
from bots.models.fields import plain
from bots.outcome import key_message_for
from bots.world import World
from trading.exchange import ExchangeError, Fault, Refused
from trading.market import Holding, KeyRights, Rules

WITHDRAWS = "this key may withdraw: make one that may only read and trade"
MAY_NOT_TRADE = "this key may not trade on spot"


def check_key(key_id: int) -> ApiKey | None:
    """Ask the exchange what a key may do and write the answer on its row.

    A key that may withdraw, or may not trade, is refused (is_valid False). While the exchange
    cannot be asked the key stays unchecked (is_valid None). None: the key is gone.
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
        refused = WITHDRAWS if rights.may_withdraw else ""
        refused = refused or (MAY_NOT_TRADE if rights.may_trade is False else "")
        fault = Fault.KEY_RIGHTS if refused else None
        _write(key, valid=not refused, fault=fault, detail=refused, rights=rights)
        # Whoever has just added a key looks for the balance next.
        refresh_balance(key.account_id)
    return key


def _write(
    key: ApiKey, *, valid: bool | None, fault: Fault | None, detail: str, rights: KeyRights | None
) -> None:
    key.is_valid = valid
    key.check_fault = fault.value if fault else ""
    key.check_message = key_message_for(fault, detail)[:500] if fault else ""
    changed = ["is_valid", "check_fault", "check_message"]
    if rights is not None:
        key.may_trade, key.may_withdraw = rights.may_trade, rights.may_withdraw
        key.ip_bound, key.checked_at = rights.ip_bound, timezone.now()
        changed += ["may_trade", "may_withdraw", "ip_bound", "checked_at"]
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
        return _store(account, account_exchange(account).balance())
    except ExchangeError as error:
        text = key_message_for(error.fault, error.text)[:500]
        failure = {"fault": error.fault.value, "message": text}
        balance, _ = Balance.objects.update_or_create(account=account, defaults=failure)
        return balance


def _store(account: Account, holdings: Mapping[str, Holding]) -> Balance:
    spot = {currency: plain(held.total) for currency, held in sorted(holdings.items())}
    balance, _ = Balance.objects.update_or_create(
        account=account,
        defaults={"spot": spot, "as_of": timezone.now(), "fault": "", "message": ""},
    )
    return balance


def refresh_markets(exchange: str, mode: str, *, max_age: timedelta = timedelta(0)) -> int:
    """Read an exchange's market rules into Market rows. Returns how many there are.

    Rows younger than `max_age` are left alone. Symbols that vanished are kept, not tradable.
    """
    rows = Market.objects.filter(exchange=exchange, mode=mode)
    newest = rows.order_by("-as_of").values_list("as_of", flat=True).first()
    now = timezone.now()
    if newest is not None and now - newest < max_age:
        return rows.count()
    rules = feed_of(exchange, mode, World()).symbols()
    markets = [_market(exchange, mode, one) for one in rules.values()]
    for market in markets:
        market.as_of = now
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
