"""What the form of a new bot begins with: a preset, a template, or a copy of another bot."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from bots import portable
from bots.forms.params import PREFIX
from bots.forms.presets import PRESETS
from bots.lifecycle import Mode, PositionType
from bots.models import BotConfig, BotTemplate, Market, User
from bots.views import many
from bots.views.common import Request, find
from trading import strategies


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """An unsaved bot, values that go before its own, what to say, and the fields to mark."""

    bot: BotConfig
    initial: dict[str, Any]
    said: str
    filled: frozenset[str]


def blank() -> BotConfig:
    """Return what a form begins with that nobody filled in."""
    return BotConfig(position_size_perc=Decimal(10), symbol="BTC/USDT")


def _chosen(request: Request) -> list[Market]:
    """Return the markets that the address names, of one exchange: the first one's."""
    pks = [pk for pk in request.GET.getlist("market") if pk.isdecimal() and len(pk) < 18]
    found = list(Market.objects.filter(pk__in=pks[: many.MOST]).order_by("symbol"))
    return [one for one in found if _place(one) == _place(found[0])]


def _place(market: Market) -> tuple[str, str, PositionType]:
    return market.exchange, market.mode, market.position_type


def _put_on(market: Market, new: BotConfig) -> None:
    """Set a new bot on the market that was chosen: on paper, where that market can be had so."""
    is_real = market.mode == Mode.LIVE and market.position_type == PositionType.SPOT
    new.exchange, new.mode = market.exchange, Mode.PAPER if is_real else market.mode
    new.position_type, new.symbol = market.position_type, market.symbol


def preset_of(request: Request) -> dict[str, Any]:
    """Return the values of the preset that the address names, or nothing."""
    preset = PRESETS.get(request.GET.get("preset", ""))
    return dict(preset.values) if preset else {}


def beginning_of(request: Request) -> Beginning:
    """Read `?template=`, `?from=` (the reader's own), `?market=`, `?preset=`, `?first=`.

    A market goes before that of a template or a copy, and a preset before their limits.
    """
    bot, said = _source(request)
    markets = _chosen(request)
    if markets:
        _put_on(markets[0], bot)
    preset = preset_of(request)
    more = ", ".join(market.symbol for market in markets[1:])
    filled = frozenset(preset) | (_differing(bot) if said else frozenset())
    name = {"name": _("My first bot")} if "first" in request.GET else {}
    initial = {**preset, **name, "more_symbols": more}
    return Beginning(bot=bot, initial=initial, said=said, filled=filled)


def _source(request: Request) -> tuple[BotConfig, str]:
    """Return an unsaved bot and what to say of where its settings come from, "" for a blank one."""
    template = own_template(request.user, _number(request, "template"))
    if template is not None:
        bot = portable.filled_in(template)
        bot.name = _free(request.user, template.name)
        words = {"name": template.name}
        return bot, _("Filled in from the template %(name)s; its values are marked.") % words
    source = find(request.user, _number(request, "from"))
    if source is None:
        return blank(), ""
    bot = BotConfig()
    for name in portable.SETTINGS:
        setattr(bot, name, getattr(source, name))
    bot.name = _free(request.user, _("%(name)s copy") % {"name": source.name[:70]})
    said = _(
        "A copy of %(name)s with all of its settings. Its own are the name, the account and the "
        "history; what differs from a blank form is marked."
    )
    return bot, said % {"name": source.name}


def own_template(user: User, pk: int) -> BotTemplate | None:
    """Return this user's template, or None."""
    return user.templates.filter(pk=pk).first()


def _number(request: Request, name: str) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 18 else 0


def _free(user: User, name: str) -> str:
    return portable.free_name(name, portable.names_of(user, "bots"))


def _differing(bot: BotConfig) -> frozenset[str]:
    """Return the form's fields that hold something else than those of a blank form."""
    plain = blank()
    names = {name for name in portable.SETTINGS if getattr(bot, name) != getattr(plain, name)}
    strategy = strategies.STRATEGIES.get(bot.strategy)
    for param in strategy.params if strategy else ():
        if bot.params.get(param.name, param.default) != param.default:
            names.add(PREFIX + param.name)
    return frozenset(names) - {"name", "params"}
