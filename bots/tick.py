"""One tick of one bot: claim, settle, roll over, look, decide, order, record, release.

Nothing lives between two ticks but rows. Time and markets come in as `World`, so tests, replays
and the real thing run the same lines.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings

from bots import (
    candles,
    failpoints,
    lease,
    orders,
    outcome,
    placing,
    protect,
    reconcile,
    reset,
    rungs,
    settle,
    sight,
)
from bots.connect import exchange_of
from bots.lease import Held, LeaseLost, Outcome
from bots.lifecycle import Mode, Reason
from bots.models import ApiKey, BotConfig, Command, Decision, Order, Outpaced
from bots.reconcile import Mismatch
from bots.sight import Sight
from bots.world import World
from trading import execution, exits, strategies
from trading.exchange import Exchange, ExchangeError, Fault
from trading.execution import View, decide
from trading.ladder import Rung
from trading.market import Rules
from trading.risk import Gate, Levels
from trading.strategies import ParamErrors, StrategyFailed

log = logging.getLogger(__name__)


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
        found = placing.outpaced()
    except Mismatch as error:
        found = outcome.of_reason(held, error.reason, str(error))
    except SoftTimeLimitExceeded:
        found = outcome.of_reason(held, Reason.NETWORK, "the tick ran out of time")
    except Exception as error:
        # The one door: whatever else fails is recorded with the bot, and seen by the operator.
        log.exception("bot %s: tick failed", bot_id)
        found = outcome.of_reason(held, Reason.INTERNAL, type(error).__name__)
    ended = lease.release(held, found)
    candles.keep(held.bot, held.candles)
    return ended


def _work(held: Held) -> Outcome:
    if reset.is_due(held.state, held.started):
        reset.roll_over(held.started, bot_ids=[held.bot.pk])
        held.refresh()
        held.day = held.state.counter_day
    if refusal := _refusal(held):
        detail = held.bot.strategy if refusal == Reason.UNKNOWN_STRATEGY else ""
        return outcome.of_reason(held, refusal, detail)
    if _is_done(held):
        return _nothing_owed()
    exchange = exchange_of(held.bot, held.world)
    rules = held.world.data.rules(exchange, held.bot.symbol)
    was_in_position = held.state.in_position
    ended = settle.settle(held, exchange, rules)
    if held.state.has_unsettled_orders and orders.resting_entry(held) is None:
        return outcome.unsettled(held)
    if was_in_position and not held.state.in_position:
        return _closed_meanwhile(held, exchange, rules)
    if not placing.trades(held) and not rungs.withdraw(held, rules, exchange):
        return outcome.unsettled(held)
    if _is_done(held):
        return _nothing_owed()
    if reconcile.is_due(held) and not held.state.has_unsettled_orders:
        placing.compare(held, exchange, rules)
        if was_in_position and not held.state.in_position:
            return _closed_meanwhile(held, exchange, rules)  # by the exchange: a liquidation
    return _trade(held, exchange, rules, ended)


def _closed_meanwhile(held: Held, exchange: Exchange, rules: Rules) -> Outcome:
    """Tell of the exit that happened between two ticks; what hangs from the position goes too."""
    found, ladder = outcome.closed_meanwhile(held), strategies.ladder_of(held.bot.strategy)
    if ladder is None or not ladder.sells:
        # A buy below a stop that has worked would open the next position on the way down. What
        # cannot be taken back now is the next tick's.
        with suppress(ExchangeError):
            orders.cancel_ladder(held, "position_closed", rules, exchange)
    return found


def _is_done(held: Held) -> bool:
    return not placing.trades(held) and not lease.owes(held.state)


def _refusal(held: Held) -> Reason | None:
    """What forbids this bot to trade, whatever the market does; exits are never forbidden."""
    bot = held.bot
    if bot.account is not None and bot.account.owner_id != bot.owner_id:
        return Reason.API_KEY_MISSING
    if not placing.trades(held):
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
    """Whether the last check refused the key to this bot. It may still sell: exits go on."""
    key = ApiKey.objects.filter(account=bot.account, check_fault=Fault.KEY_RIGHTS).first()
    if key is None:
        return False
    # A right that only the account's other bots miss is no reason to switch this one off.
    return not (key.may_withdraw is False and key.may(bot.position_type))


def _trade(held: Held, exchange: Exchange, rules: Rules, ended: Sequence[Order]) -> Outcome:
    """Look once and decide; `ended`: the orders that this tick has just seen end."""
    seen = sight.look(held, exchange, rules)
    resting = orders.resting_entry(held) if held.state.has_unsettled_orders else None
    given_up, command = _timed_out(ended), seen.command
    if command is None or command.kind != Command.Kind.CANCEL:
        found = _decide(held, exchange, seen, resting, given_up=given_up)
    elif resting is not None and not orders.cancel(held, resting, Gate.COMMAND, rules, exchange):
        found = outcome.unsettled(held)
    else:
        # The command is followed; what else there is to do is decided as if nobody had asked.
        seen = replace(seen, command=None)
        found = _decide(held, exchange, seen, resting=None, given_up=given_up)
        sight.end(command, Command.Status.DONE)
    return replace(found, price=seen.quote.last)


def _decide(
    held: Held, exchange: Exchange, seen: Sight, resting: Order | None, *, given_up: Order | None
) -> Outcome:
    try:
        view = sight.view(held, seen, resting=resting, given_up=given_up)
    except StrategyFailed as error:
        # Not our code: it must not keep the stop from being watched.
        log.exception("bot %s: its ladder cannot be drawn", held.bot.pk)
        seen = sight.blinded(seen, error)
        view = sight.view(held, seen, resting=resting, given_up=given_up)
    decision = _judge(held, view)
    if decision.action == "cancel" and resting is not None:
        if not orders.cancel(held, resting, decision.gate, seen.rules, exchange):
            return outcome.unsettled(held)
        # What was filled of it, and what else there is to do, is decided at once.
        return _decide(held, exchange, seen, resting=None, given_up=_timed_out([resting]))
    if execution.asks_for_money(view, decision):
        # The balance costs a heavy call, so it is asked for only when an order is to be sized.
        decision = _judge(held, sight.with_balance(held, view, exchange))
    command = seen.command
    if command and decision.gate != Gate.COMMAND:
        sight.refuse(command, decision.gate)
    if decision.action in ("enter", "exit"):
        found = placing.place(held, exchange, seen.rules, decision, command)
        levels = held.state.levels
    else:
        found, levels = _without_order(held, seen, decision), decision.levels
    _protect(held, exchange, seen.rules, levels)
    if decision.action not in ("hold", "blocked"):
        return found
    if view.position.is_open and not held.state.in_position:
        return _closed_meanwhile(held, exchange, seen.rules)  # while its stop was to be moved
    wanted = decision.rungs if seen.blind is None else execution.rests_unseen(view, decision)
    ends = _keep_rungs(held, exchange, seen.rules, wanted)
    if ends is not None:
        found = replace(ends, levels=decision.levels)  # the best price seen is kept all the same
    elif held.state.in_position != view.position.is_open:
        # A rung was filled on the way: a bot that holds a position now does not pause.
        found = _without_order(held, seen, decision)
    return _with_levels(held, found, view)


def _keep_rungs(
    held: Held, exchange: Exchange, rules: Rules, wanted: Sequence[Rung]
) -> Outcome | None:
    """Let these rungs rest and no other; the outcome of the tick where something is in the way."""
    try:
        return rungs.keep(held, wanted, rules, exchange)
    except ExchangeError as error:
        return outcome.failed(held, error)


def _with_levels(held: Held, found: Outcome, seen: View) -> Outcome:
    """Give the outcome the levels of the position as it is now: a rung may have traded at once."""
    position = held.state.position
    if position == seen.position or position.entry_price is None:
        return found
    return replace(
        found, levels=exits.look(replace(seen, position=position), position.entry_price).levels
    )


def _judge(held: Held, view: View) -> execution.Decision:
    """Decide, and keep what was decided on: the tick's decision row can be replayed from it."""
    held.judged = view, (decision := decide(view))
    return decision


def _timed_out(ended: Sequence[Order]) -> Order | None:
    """Return the entry order that ended because its time was over, if nothing of it was filled."""
    due = [order for order in ended if order.cancel_reason == Gate.ENTRY_TIMEOUT]
    return next((order for order in due if not order.filled), None)


def _without_order(held: Held, seen: Sight, decision: execution.Decision) -> Outcome:
    if seen.blind is not None and not held.state.has_unsettled_orders:
        # The stop was watched on the price; without a signal there is nothing else to decide.
        return replace(outcome.blind(held, seen.blind), levels=decision.levels)
    return outcome.of_decision(held, decision)


def _protect(held: Held, exchange: Exchange, rules: Rules, levels: Levels) -> None:
    """Let stop and target rest at the exchange, if there is time for it in this tick."""
    if held.seconds_left < settings.TICK_SEND_MARGIN_SECONDS:
        return
    # Outpaced: stop or edit came first; what it left is the next tick's.
    with suppress(Outpaced):
        protect.keep(held, levels, rules, exchange)


def _nothing_owed() -> Outcome:
    return Outcome(move=None, reason=None, action=Decision.Action.HOLD, gate="duty_exit")
