"""/bots/{id}/...: start, stop, enter, exit, cancel, and what the bot did."""

from django.shortcuts import get_object_or_404
from ninja import Query, Router, Status

from bots import control
from bots.accept import accept_exchange
from bots.api import schemas
from bots.api.access import ApiRequest, access
from bots.api.errors import Conflict, Problem
from bots.api.pages import Page, Window, page
from bots.lifecycle import WindDown
from bots.models import BotConfig, Command, DayStats, Fill, Order, StateEvent

router = Router()
VIA = "api"
REFUSALS = {403: Problem, 404: Problem, 409: Conflict}
TAKEN = {202: schemas.CommandOut, **REFUSALS}


def own_bot(request: ApiRequest, bot_id: int) -> BotConfig:
    """Return the caller's bot, or a 404: also for somebody else's."""
    bot: BotConfig = get_object_or_404(request.auth.user.bots.alive(), pk=bot_id)
    return bot


@router.post("/{bot_id}/start", response={200: schemas.Started, **REFUSALS}, auth=access("trade"))
def start(request: ApiRequest, bot_id: int) -> object:
    """Start a bot. Clicking twice does no harm. A live bot needs the scope `live`."""
    bot = own_bot(request, bot_id)
    request.auth.needs_for(bot.mode)
    control.start(bot, by=request.auth.user, via=VIA)
    return {"message": "Bot started", "bot_config_id": bot.pk}


@router.post("/{bot_id}/stop", response={200: schemas.Stopped, **REFUSALS}, auth=access("trade"))
def stop(request: ApiRequest, bot_id: int, how: schemas.StopIn | None = None) -> object:
    """Stop a bot: leave its position (the default), close it, or stop after the next exit."""
    bot = own_bot(request, bot_id)
    position = how.position if how else WindDown.LEAVE
    state = control.stop(bot, by=request.auth.user, via=VIA, position=position)
    return {
        "message": "Bot stopped",
        "bot_config_id": bot.pk,
        "duty": state and state.duty,
    }


@router.post("/{bot_id}/enter", response=TAKEN, auth=access("trade"))
def enter(request: ApiRequest, bot_id: int) -> object:
    """Have the next tick open a position. A live bot needs the scope `live`."""
    bot = own_bot(request, bot_id)
    request.auth.needs_for(bot.mode)
    return Status(202, control.command(bot, Command.Kind.ENTER, by=request.auth.user, via=VIA))


@router.post("/{bot_id}/exit", response=TAKEN, auth=access("trade"))
def exit_(request: ApiRequest, bot_id: int) -> object:
    """Have the next tick close the position. A stopped bot's is closed by stop, with `close`."""
    bot = own_bot(request, bot_id)
    return Status(202, control.command(bot, Command.Kind.EXIT, by=request.auth.user, via=VIA))


@router.post("/{bot_id}/cancel", response=TAKEN, auth=access("trade"))
def cancel(request: ApiRequest, bot_id: int) -> object:
    """Have the next tick take the entry order back that waits at the exchange."""
    bot = own_bot(request, bot_id)
    return Status(202, control.command(bot, Command.Kind.CANCEL, by=request.auth.user, via=VIA))


@router.post(
    "/{bot_id}/reconcile", response={202: schemas.Started, **REFUSALS}, auth=access("trade")
)
def compare(request: ApiRequest, bot_id: int) -> object:
    """Have a worker compare a bot with its exchange now: see `comparison` of its state."""
    bot = own_bot(request, bot_id)
    control.compare(bot)
    return Status(202, {"message": "Comparison asked for", "bot_config_id": bot.pk})


@router.post("/{bot_id}/accept", response={200: schemas.OrderOut, **REFUSALS}, auth=access("trade"))
def accept(request: ApiRequest, bot_id: int) -> object:
    """Book what the exchange no longer holds as left at the last price. The bot stays off."""
    bot = own_bot(request, bot_id)
    request.auth.needs_for(bot.mode)
    return accept_exchange(bot, by=request.auth.user, via=VIA)


@router.get("/{bot_id}/orders", response={200: Page[schemas.OrderOut], 404: Problem})
def orders(request: ApiRequest, bot_id: int, window: Query[Window]) -> object:
    """List a bot's orders, newest first."""
    bot = own_bot(request, bot_id)
    rows = Order.objects.filter(bot=bot).order_by("-pk").prefetch_related("fills")
    return page(rows, window)


@router.get("/{bot_id}/trades", response={200: Page[schemas.TradeOut], 404: Problem})
def trades(request: ApiRequest, bot_id: int, window: Query[Window]) -> object:
    """List a bot's fills, newest first."""
    bot = own_bot(request, bot_id)
    return page(Fill.objects.filter(bot=bot).order_by("-pk").select_related("order"), window)


@router.get("/{bot_id}/events", response={200: Page[schemas.EventOut], 404: Problem})
def events(request: ApiRequest, bot_id: int, window: Query[Window]) -> object:
    """List the changes of a bot's state, newest first."""
    bot = own_bot(request, bot_id)
    return page(StateEvent.objects.filter(bot=bot).order_by("-pk").select_related("by"), window)


@router.get("/{bot_id}/days", response={200: Page[schemas.DayOut], 404: Problem})
def days(request: ApiRequest, bot_id: int, window: Query[Window]) -> object:
    """List a bot's trading days, newest first."""
    bot = own_bot(request, bot_id)
    return page(DayStats.objects.filter(bot=bot).order_by("-day"), window)
