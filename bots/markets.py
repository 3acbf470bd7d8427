"""Markets as workers last read them: found by what a trader types, or those that bots trade in."""

from collections.abc import Collection, Iterable

from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Length, Replace, StrIndex
from django.db.models.lookups import LessThan

from bots.lifecycle import Mode
from bots.models import BotConfig, Market
from bots.models.fields import words

#: Whether a bot trades there or not, workers keep these candles of watched markets.
WATCHED_TIMEFRAME = "15m"
#: Of equal finds, those quoted in these currencies come first, in this order.
QUOTES = ("USDT", "USDC", "USD")
#: What bots name a market by: exchange, mode, symbol.
MarketKey = tuple[str, str, str]
#: Paper bots trade on the prices of the real exchange: one list is as good as the other.
TWINS = {Mode.PAPER.value: Mode.LIVE.value, Mode.LIVE.value: Mode.PAPER.value}


def listed(exchange: str, mode: str, position_type: str) -> QuerySet[Market]:
    """Return the markets that a bot so set up can choose from; none where no list was read."""
    rows = Market.objects.of(position_type).filter(exchange=exchange)
    own, twin = rows.filter(mode=mode), TWINS.get(mode)
    return rows.filter(mode=twin) if twin and not own.exists() else own


def search(rows: QuerySet[Market], text: str) -> QuerySet[Market]:
    """Return those of `rows` that `text` finds, best first; all of them where it is empty.

    The whole base currency comes first, then what begins with the text, then what holds it.
    """
    rows = rows.annotate(flat=Replace(F("key"), Value("/"), Value("")))
    # Perpetuals are spelt BTC/USDT:USDT.
    ranks = _ranks(words(text.partition(":")[0]))
    if ranks:
        cases = [When(rule, then=Value(rank)) for rank, rule in enumerate(ranks)]
        rows = rows.annotate(
            rank=Case(*cases, default=Value(None), output_field=IntegerField())
        ).filter(rank__isnull=False)
    quotes = [When(quote=quote, then=Value(rank)) for rank, quote in enumerate(QUOTES)]
    quote = Case(*quotes, default=Value(len(QUOTES)), output_field=IntegerField())
    order = ("-is_tradable", quote, "-pairs", Length("key"), "key", "symbol", "pk")
    return rows.order_by(*(["rank"] if ranks else []), *order)


def _ranks(parts: list[str]) -> list[Q]:
    """Return what a market may have in common with the words typed, the best first."""
    if not parts:
        return []
    first, whole = parts[0], "".join(parts)
    if len(parts) == 1:
        return [
            Q(key__startswith=f"{first}/") | Q(flat=whole),
            Q(flat__startswith=whole),
            Q(LessThan(_at(first), _at("/")), key__contains=first),
            Q(flat__contains=whole),
        ]
    second = parts[1]
    return [
        Q(key=f"{first}/{second}"),
        Q(flat__startswith=whole),
        Q(key__startswith=first, key__contains=f"/{second}"),
        Q(key__contains=f"/{second}", flat__contains=first),
        # "usdt btc" means the same to a hurried reader.
        Q(key__startswith=f"{second}/{first}"),
        Q(flat__contains=whole),
    ]


def _at(part: str) -> StrIndex:
    return StrIndex(F("key"), Value(part))


def resolve(texts: Collection[str], exchange: str, mode: str, position_type: str) -> dict[str, str]:
    """Return each text as this exchange spells that market: `btcusdt` -> `BTC/USDT`.

    A text that is no market's whole name is given back in capitals, as it was typed.
    """
    flat = {text: "".join(words(text.partition(":")[0])) for text in texts}
    rows = listed(exchange, mode, position_type)
    rows = rows.annotate(flat=Replace(F("key"), Value("/"), Value("")))
    # Should two markets read alike, the one that is spelt as typed wins.
    found: dict[str, list[str]] = {}
    for name, symbol in rows.filter(flat__in=set(flat.values())).values_list("flat", "symbol"):
        found.setdefault(name, []).append(symbol)
    return {text: _spelt(text.strip().upper(), found.get(name, [])) for text, name in flat.items()}


def _spelt(typed: str, symbols: list[str]) -> str:
    return symbols[0] if len(symbols) == 1 and typed not in symbols else typed


def split(text: str) -> list[str]:
    """Return the symbols of a typed list, once each: by commas, semicolons, lines, or by spaces.

    Spaces part them only where each part is a pair of its own: `btc usdt` is one symbol.
    """
    found: dict[str, None] = {}
    for piece in text.replace(";", ",").replace("\n", ",").split(","):
        found.update(dict.fromkeys(_pieces(piece)))
    return list(found)


def _pieces(text: str) -> Iterable[str]:
    parts = text.split()
    if len(parts) > 1 and all("/" in part.strip("/") for part in parts):
        return parts
    return [" ".join(parts)] if parts else []


def market_of(bot: BotConfig) -> Market | None:
    """Return the rules of this bot's market as a worker last read them."""
    return Market.objects.filter(exchange=bot.exchange, mode=bot.mode, symbol=bot.symbol).first()


def markets_of(bots: Iterable[BotConfig]) -> dict[MarketKey, Market]:
    """Return the rules of these bots' markets in one query."""
    wanted = {(bot.exchange, bot.mode, bot.symbol) for bot in bots}
    if not wanted:
        return {}
    rows = Market.objects.filter(
        Q(exchange__in={key[0] for key in wanted}), symbol__in={key[2] for key in wanted}
    )
    return {(row.exchange, row.mode, row.symbol): row for row in rows}
