"""One tick of one bot: claim, settle, roll over, look, decide, order, record, release.

Nothing lives between two ticks but rows. Time and markets come in as `World`, so tests, replays
and the real thing run the same lines.
"""

import logging
from dataclasses import replace

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.utils import timezone

from bots import failpoints, lease, ledger, outcome, reset, settle
from bots.connect import exchange_of
from bots.control import expire_commands
from bots.lease import Held, LeaseLost, Outcome
from bots.lifecycle import Duty, Mode, Reason, WindDown
from bots.models import ApiKey, BotConfig, Command, Decision, Outpaced
from bots.world import World
from trading import execution, strategies
from trading.exchange import Exchange, ExchangeError, Fault, Refused, Rejected, Unreachable
from trading.execution import View, decide
from trading.market import OrderStatus, Quote, Rules
from trading.risk import Day, Levels
from trading.strategies import Action, ParamErrors, Signal

log = logging.getLogger(__name__)
NO_SIGNAL = Signal(action=Action.NONE, numbers={}, why="no_candles")


def run(bot_id: int, world: World | None = None, *, only_if_due: bool = False) -> Outcome | None:
    """Tick one bot once. Returns what it found, or None when it was not ours to tick."""
    held = lease.claim(bot_id, world or World(), only_if_due=only_if_due)
    if held is None:
        return None
    try:
        failpoints.reach("tick.claimed", bot_id)
        found = _work(held)
    except LeaseLost:
        log.warning("bot %s: another tick took over", bot_id)
        return None
    except ExchangeError as error:
        found = outcome.failed(held, error)
    except Outpaced:
        found = _outpaced()
    except SoftTimeLimitExceeded:
        found = outcome.of_reason(held, Reason.NETWORK, "the tick ran out of time")
    except Exception as error:
        # The one door: whatever else fails is recorded with the bot, and seen by the operator.
        log.exception("bot %s: tick failed", bot_id)
        found = outcome.of_reason(held, Reason.INTERNAL, type(error).__name__)
    return lease.release(held, found)


def _work(held: Held) -> Outcome:
    if reset.is_due(held.state, held.started):
        reset.roll_over(held.started, bot_ids=[held.bot.pk])
        held.refresh()
        held.day = held.state.counter_day
    if refusal := _refusal(held):
        return outcome.of_reason(held, refusal, "")
    if held.state.duty == Duty.EXIT and not lease.owes(held.state):
        return _nothing_owed()
    exchange = exchange_of(held.bot, held.world)
    rules = held.world.data.rules(exchange, held.bot.symbol)
    if not settle.settle(held, exchange, rules):
        return outcome.unsettled(held)
    if held.state.duty == Duty.EXIT and not lease.owes(held.state):
        return _nothing_owed()
    return _trade(held, exchange, rules)


def _refusal(held: Held) -> Reason | None:
    """What forbids this bot to trade, whatever the market does; exits are never forbidden."""
    bot = held.bot
    if bot.account is not None and bot.account.owner_id != bot.owner_id:
        return Reason.API_KEY_MISSING
    if held.state.duty != Duty.TRADE:
        return None
    if not bot.owner.is_active:
        return Reason.OWNER_INACTIVE
    if bot.mode == Mode.LIVE and not settings.LIVE_TRADING_ENABLED:
        return Reason.LIVE_DISABLED
    if bot.mode != Mode.PAPER and _has_wrong_rights(bot):
        return Reason.API_KEY_RIGHTS
    if bot.strategy not in strategies.STRATEGIES:
        return Reason.UNKNOWN_STRATEGY
    try:
        strategies.clean(strategies.get(bot.strategy), bot.params)
    except ParamErrors:
        return Reason.BAD_SETTINGS
    return None


def _has_wrong_rights(bot: BotConfig) -> bool:
    """Whether the last check refused the key. It may still sell: exits go on."""
    keys = ApiKey.objects.filter(account=bot.account, check_fault=Fault.KEY_RIGHTS)
    return keys.exists()


def _trade(held: Held, exchange: Exchange, rules: Rules) -> Outcome:
    quote = held.world.data.quote(exchange, held.bot.symbol)
    signal, blind = _look(held, exchange)
    command = _command(held)
    if command is not None and blind is not None and command.kind == Command.Kind.ENTER:
        _refuse(command, blind.fault)
        command = None
    view = _view(held, rules, quote, signal, command)
    decision = decide(view)
    if decision.action in ("enter", "exit"):
        # The balance costs a heavy call, so it is asked for only when an order is to be sized.
        decision = decide(_with_balance(view, exchange, rules))
    if command is not None and decision.gate != "command":
        _refuse(command, decision.gate)
    if decision.action in ("enter", "exit"):
        found = _order(held, exchange, rules, decision, command)
    elif blind is not None:
        # The stop was watched on the price; without candles there is nothing else to decide.
        found = replace(outcome.failed(held, blind), levels=decision.levels)
    else:
        found = outcome.of_decision(held, decision)
    return replace(found, price=quote.last)


def _look(held: Held, exchange: Exchange) -> tuple[Signal, ExchangeError | None]:
    """Return the strategy's signal; unusable candles give none, and the error that says why."""
    if held.state.duty == Duty.EXIT and held.state.wind_down != WindDown.AFTER_EXIT:
        return NO_SIGNAL, None
    try:
        strategy = strategies.get(held.bot.strategy)
        values = strategies.clean(strategy, held.bot.params)
    except (strategies.UnknownStrategy, ParamErrors):
        # Under duty trade that switched the bot off; the position's stop is watched all the same.
        return NO_SIGNAL, None
    try:
        candles = held.world.data.candles(
            exchange, held.bot.symbol, held.bot.timeframe, strategy.window(values)
        )
    except ExchangeError as error:
        if isinstance(error, Refused):
            raise
        return NO_SIGNAL, error
    return strategy.signal(candles, values), None


def _command(held: Held) -> Command | None:
    """Return the owner's command that waits for this tick; closes those that waited too long."""
    waiting = Command.objects.filter(bot=held.bot, status=Command.Status.PENDING)
    command = next(iter(waiting), None)  # one at most: a constraint says so
    if command is not None and command.expires_at <= timezone.now():
        expire_commands(held.bot.pk)
        return None
    return command


def _refuse(command: Command, gate: str) -> None:
    Command.objects.filter(pk=command.pk, status=Command.Status.PENDING).update(
        status=Command.Status.REFUSED, result=gate, ended_at=timezone.now()
    )


def _view(held: Held, rules: Rules, quote: Quote, signal: Signal, command: Command | None) -> View:
    state = held.state
    return View(
        settings=held.bot.risk_settings,
        rules=rules,
        position=state.position,
        levels=Levels(max_price=state.max_price_since_entry),
        day=Day(pnl=state.daily_pnl, trades=state.daily_trades_count),
        quote=quote,
        signal=signal,
        duty=state.duty,
        wind_down=state.wind_down,
        command=command.kind if command else None,
    )


def _with_balance(view: View, exchange: Exchange, rules: Rules) -> View:
    holdings = exchange.balance()
    base, quote = holdings.get(rules.base), holdings.get(rules.quote)
    return replace(
        view,
        free_base=base.free if base else rules.amount_step * 0,
        free_quote=quote.free if quote else rules.amount_step * 0,
        cost_margin=exchange.cost_margin(rules, view.quote.ask),
    )


def _order(
    held: Held,
    exchange: Exchange,
    rules: Rules,
    decision: execution.Decision,
    command: Command | None,
) -> Outcome:
    """Write the intent, send it once, book the answer; an unanswered one stays unknown."""
    if held.seconds_left < settings.TICK_SEND_MARGIN_SECONDS:
        return outcome.of_reason(held, Reason.NETWORK, "too late in the tick to send an order")
    signed_at = exchange.now()
    failpoints.reach("intent.before", held.bot.pk)
    order = ledger.write_intent(held, decision, rules, signed_at=signed_at, command=command)
    failpoints.reach("intent.after", held.bot.pk)
    try:
        report = exchange.place(order.request)
        failpoints.reach("answer.before", held.bot.pk)
    except Unreachable as error:
        if not error.sent:
            ledger.close(held, order, OrderStatus.ABANDONED, error.text)
            return outcome.failed(held, error, order=order)
        ledger.mark_unknown(held, order, error.text)
        return outcome.of_order(held, decision, order)
    except (Rejected, Refused) as error:
        ledger.close(held, order, OrderStatus.REJECTED, error.text)
        return outcome.failed(held, error, order=order)
    ledger.apply(held, order, report, rules, exchange)
    failpoints.reach("answer.after", held.bot.pk)
    return outcome.of_order(held, decision, order)


def _nothing_owed() -> Outcome:
    return Outcome(move=None, reason=None, action=Decision.Action.HOLD, gate="duty_exit")


def _outpaced() -> Outcome:
    """Stop, edit or reset came between decision and intent: the next tick decides anew."""
    return Outcome(move=None, reason=None, action=Decision.Action.BLOCKED, gate="outpaced")
