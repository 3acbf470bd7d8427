"""A bot as it was before its first order, for tests of what is found out again."""

from typing import Any

from bots.models import BotConfig, BotState, Decision, Fill, Order

FLAT: dict[str, Any] = {
    "in_position": False,
    "position_side": "",
    "current_position_size": 0,
    "position_cost": 0,
    "entry_amount": 0,
    "entry_quote": 0,
    "entry_price": None,
    "position_opened_at": None,
    "stop_loss_price": None,
    "take_profit_price": None,
    "max_price_since_entry": None,
    "daily_pnl": 0,
    "daily_trades_count": 0,
    "profit": 0,
    "profit_peak": 0,
    "has_protection": False,
    "protection": "",
}


def put_back(bot: BotConfig, **state: Any) -> None:
    """Bring the bot's rows back to before its first order, as a backup of that time has them."""
    Decision.objects.filter(bot=bot).update(order=None)
    bot.commands.all().delete()
    Fill.objects.filter(bot=bot).delete()
    Order.objects.filter(bot=bot).delete()
    bot.days.all().delete()
    BotState.objects.filter(pk=bot.pk).update(**FLAT, **state)
