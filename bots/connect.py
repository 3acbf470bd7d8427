"""An account becomes an exchange. The only place where a key is decrypted."""

from decimal import Decimal
from time import monotonic

from django.conf import settings

from bots import failpoints
from bots.lifecycle import Mode, PositionType
from bots.meters import shared_meters
from bots.models import Account, ApiKey, BotConfig
from bots.models.fields import Undecryptable
from bots.models.validity import SIMULATED
from bots.paper_book import PaperBook
from bots.silences import shared_silences
from bots.world import World
from trading.exchange import Exchange, ExchangeError, Fault, Refused
from trading.exchanges.ccxt_exchange import (
    CcxtExchange,
    CcxtFeed,
    Credentials,
    open_account,
    shared_feed,
)
from trading.exchanges.paper import PaperExchange
from trading.exchanges.silence import account_mark
from trading.exchanges.simulated import SimulatedFeed
from trading.market_data import SharedFeed
from trading.symbols import quote_of

HUNDRED = Decimal(100)
#: How long an answer of the exchange proves, in this process, that it still accepts a key.
PROOF_SECONDS = 60.0

#: (account, position type) -> its key, when it was accepted
_proofs: dict[tuple[int, str], tuple[int, float]] = {}
#: ccxt's names of what we trade.
MARKET_TYPES = {PositionType.SPOT.value: "spot", PositionType.FUTURES.value: "swap"}


def exchange_of(bot: BotConfig, world: World) -> Exchange:
    """Return the bot's exchange: paper on any feed, else the real account.

    Raises Refused when that cannot work: key missing, undecryptable, client not to be made.
    """
    if world.exchange is not None:
        return world.exchange
    account = bot.account
    if account is None:
        raise Refused(Fault.KEY_MISSING, f"bot {bot.pk} has no account")
    if bot.mode == Mode.PAPER:
        if bot.position_type != PositionType.SPOT:
            raise Refused(Fault.CLIENT, "paper accounts trade spot only")
        return PaperExchange(
            world.feed or feed_of(bot.exchange, bot.mode, world),
            PaperBook(account, quote=quote_of(bot.symbol), capital=bot.initial_capital),
            world.data,
            fee_rate=settings.PAPER_FEE_PERC / HUNDRED,
            slippage=settings.PAPER_SLIPPAGE_PERC / HUNDRED,
        )
    exchange = account_exchange(account, bot.position_type)
    _prove((account.pk, bot.position_type), exchange)
    return exchange


def _prove(account: tuple[int, str], exchange: CcxtExchange) -> None:
    """Ask for the balance once a minute, so that a refused key shows before an order needs it."""
    key_id = ApiKey.objects.filter(account=account[0]).values_list("pk", flat=True).first()
    proved, at = _proofs.get(account, (None, 0.0))
    now = monotonic()
    if key_id is None or (proved == key_id and now - at < PROOF_SECONDS):
        return
    try:
        exchange.balance()
    except Refused:
        _proofs.pop(account, None)
        raise
    except ExchangeError:
        # No answer says nothing about the key; the tick itself tells what is wrong.
        return
    _proofs[account] = (key_id, now)


def feed_of(
    exchange: str, mode: str, world: World, position_type: str = PositionType.SPOT
) -> SharedFeed:
    """Return the public market data of an exchange."""
    if exchange == SIMULATED:
        return SimulatedFeed(settings.MARKET_SEED, world.now_ms)
    return _ccxt_feed(exchange, mode, position_type)


def account_exchange(account: Account, position_type: str = PositionType.SPOT) -> CcxtExchange:
    """Return a testnet or live account, spot or futures, opened with its key."""
    # The key first: without a usable one not even the network is asked.
    credentials = _credentials(account)
    shared_meters().belongs(account_mark(credentials.api_key), account.pk)
    return open_account(
        _ccxt_feed(account.exchange, account.mode, position_type),
        credentials,
        recv_window_ms=settings.RECV_WINDOW_MS,
        fence_s=settings.ORDER_FENCE_SECONDS,
    )


def _ccxt_feed(exchange: str, mode: str, position_type: str) -> CcxtFeed:
    failpoints.check_loopback(settings.EXCHANGE_API_BASE.get(exchange))
    return shared_feed(
        exchange,
        mode="testnet" if mode == Mode.TESTNET else "live",
        market_type=MARKET_TYPES[position_type],
        api_base=settings.EXCHANGE_API_BASE.get(exchange),
        timeout_s=settings.HTTP_TIMEOUT_SECONDS,
        markets_ttl_s=settings.MARKETS_TTL_SECONDS,
        silences=shared_silences(),
        meter=shared_meters(),
    )


def _credentials(account: Account) -> Credentials:
    # Read anew each time: a replaced or deleted key counts from the next tick on.
    key = (
        ApiKey.objects.filter(account=account)
        .defer(None)
        .only("api_key", "secret_key", "passphrase")
        .first()
    )
    if key is None:
        raise Refused(Fault.KEY_MISSING, "the account has no api key")
    secrets = (key.api_key, key.secret_key, key.passphrase)
    if any(isinstance(secret, Undecryptable) for secret in secrets):
        raise Refused(Fault.KEY_UNDECRYPTABLE, "no key in FERNET_KEYS opens the stored api key")
    return Credentials(api_key=secrets[0], secret=secrets[1], passphrase=secrets[2])
