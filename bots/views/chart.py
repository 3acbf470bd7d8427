"""The candle chart of a bot's page: its data as JSON, and the table that says the same."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bots.charting import Bar, Chart, Mark, chart_of, version_of
from bots.markets import market_of
from bots.models import BotConfig, Market
from bots.models.ledger import SIDES
from bots.templatetags.show import amount, decimals_of, price, side_of
from bots.views.common import Request, find_or_404, unchanged
from bots.views.present import IDLE, Shown

#: Rows of the table under the chart.
ROWS = 20
#: Decimals of a price whose market's tick is not known.
PLACES = 8
#: The lines of a chart, in the order of its legend.
LABELS = {
    "entry": gettext_lazy("Entry"),
    "stop": gettext_lazy("Stop loss"),
    "trailing": gettext_lazy("Trailing stop"),
    "target": gettext_lazy("Take profit"),
    "liquidation": gettext_lazy("Liquidation"),
    "last": gettext_lazy("Last price"),
}
#: What the script asks the style sheet the colours of.
COLOURS = ("ink", "grid", "rise", "fall", "buy", "sell", *LABELS)
#: The same where there is little room.
SHORT = {
    "entry": gettext_lazy("Entry"),
    "stop": gettext_lazy("SL"),
    "trailing": gettext_lazy("Trail"),
    "target": gettext_lazy("TP"),
    "liquidation": gettext_lazy("Liq."),
    "last": gettext_lazy("Last"),
}
NEVER = 2**63 - 1


def context_of(bot: BotConfig, market: Market | None) -> dict[str, Any]:
    """Return what the chart's part of the bot's page shows before any script runs."""
    chart = chart_of(bot, market, count=ROWS + 1)  # one more, to see a gap before the last row
    return {
        "chart": chart,
        "candle_rows": list(_rows(chart)),
        "marks": chart.marks[: -ROWS - 1 : -1],
        "chart_label": label_of(bot, chart),
        "colours": COLOURS,
    }


def _rows(chart: Chart) -> list[dict[str, Any]]:
    """Return the newest candles, newest first; a row says what is missing before a candle."""
    bars = chart.bars[-ROWS - 1 :]
    rows = []
    for before, bar in zip((None, *bars), bars, strict=False):
        is_gap = before is not None and bar.at - before.at > chart.length
        missing = (_time(before.at + chart.length), _time(bar.at)) if is_gap and before else None
        rows.append({"bar": bar, "opened": _time(bar.at), "missing": missing})
    return rows[-ROWS:][::-1]


def _time(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def label_of(bot: BotConfig, chart: Chart) -> str:
    """Say in a sentence what the chart shows, for who does not see it."""
    if not chart.count:
        return _("Candles of %(symbol)s: none yet.") % {"symbol": bot.symbol}
    parts = [f"{LABELS[name]} {price(value, chart.tick)}" for name, value in _lines(chart)]
    text = _("Candles of %(symbol)s, %(timeframe)s, from %(first)s to %(last)s.")
    said = text % {
        "symbol": bot.symbol,
        "timeframe": bot.timeframe,
        "first": _spoken(chart.oldest),
        "last": _spoken(chart.newest),
    }
    return f"{said} {', '.join(parts)}".strip()


def _spoken(ms: int | None) -> str:
    local = timezone.localtime(_time(ms or 0))
    return formats.date_format(local, "j M H:i")


def _lines(chart: Chart) -> list[tuple[str, Decimal]]:
    return [(name, chart.levels[name]) for name in LABELS if name in chart.levels]


@login_required
@never_cache
@require_safe
def candles(request: Request, pk: int) -> HttpResponse:
    """Tell the chart what it lacks: candles that opened `since` (Unix ms), levels, and fills.

    `v`: the version that it has; 204 if that is still so. `table`: the table instead, as HTML.
    """
    bot = find_or_404(request.user, pk)
    version = version_of(bot)  # first: what changes meanwhile is asked for once more
    if request.GET.get("v") == version:
        return unchanged()
    shown = Shown(bot=bot, now=timezone.now(), market=market_of(bot))
    if "table" in request.GET:
        context = {"bot": bot, "shown": shown, **context_of(bot, shown.market)}
        return render(request, "bots/_chart_table.html", context)
    chart = chart_of(bot, shown.market, since=_since(request))
    return JsonResponse({"v": version, **_told(bot, chart, shown)})


def _since(request: Request) -> int:
    """Return the instant that is asked for; what is no number asks for everything."""
    text = request.GET.get("since", "")
    return min(int(text), NEVER) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


def _told(bot: BotConfig, chart: Chart, shown: Shown) -> dict[str, Any]:
    places = decimals_of(chart.tick)
    return {
        "key": chart.key,
        "every": IDLE,
        "length": chart.length,
        "places": _places(chart.bars) if places is None else places,
        "oldest": chart.oldest,
        "count": chart.count,
        "label": label_of(bot, chart),
        "candles": [_numbers(bar) for bar in chart.bars],
        "levels": [
            *(_level(name, value, chart) for name, value in _lines(chart)),
            *(_rung(number, side, at, chart) for number, (side, at) in enumerate(chart.rungs)),
        ],
        "fills": [_fill(mark, chart, shown) for mark in chart.marks],
    }


def _level(name: str, value: Decimal, chart: Chart) -> dict[str, str]:
    texts = {"label": str(LABELS[name]), "short": str(SHORT[name])}
    return {"kind": name, **texts, "price": price_text(value, chart.tick)}


def _rung(number: int, side: str, value: Decimal, chart: Chart) -> dict[str, str]:
    text = str(SIDES[side])
    line = {"kind": f"rung{number}", "label": text, "short": text}
    return {**line, "price": price_text(value, chart.tick), "tone": side}


def _numbers(bar: Bar) -> list[float]:
    return [bar.at, *map(float, (bar.open, bar.high, bar.low, bar.close, bar.volume))]


def _places(bars: tuple[Bar, ...]) -> int:
    """Return how many decimals the prices have where no market says it."""
    return min(max((decimals_of(bar.close) or 0 for bar in bars), default=2), PLACES)


def price_text(value: Decimal, tick: Decimal | None) -> str:
    """Return a price for machines, on the market's tick."""
    places = decimals_of(tick)
    return f"{value:f}" if places is None else f"{value:.{places}f}"


def _fill(mark: Mark, chart: Chart, shown: Shown) -> dict[str, Any]:
    side = side_of(mark.order)
    size = f"{amount(mark.amount, shown.step)} {shown.base}"
    return {
        "id": mark.order.pk,
        "bar": mark.bar,
        "side": mark.order.side,
        "price": price_text(mark.price, chart.tick),
        "text": f"{side} {size} @ {price(mark.price, chart.tick)}",
    }
