"""What one tick sees: the price, the strategy's signal, the owner's command, and the bot itself."""

import logging
from dataclasses import dataclass, replace
from decimal import Decimal

from django.utils import timezone

from bots import limits, orders
from bots.control import expire_commands
from bots.lease import Held
from bots.lifecycle import Duty, PositionType, Reason, Status, WindDown
from bots.models import Command, Order
from trading import strategies
from trading.exchange import Exchange, ExchangeError, Refused
from trading.execution import View
from trading.ladder import Ground, Ladder, Rung
from trading.market import Quote, Rules, Side
from trading.risk import Day, Gate, Levels
from trading.strategies import Action, ParamErrors, Signal, StrategyFailed

log = logging.getLogger(__name__)

NO_SIGNAL = Signal(action=Action.NONE, numbers={}, why="no_candles")


@dataclass(frozen=True, kw_only=True)
class Sight:
    """`blind`: the error that kept the candles away, or the strategy's own; then no signal."""

    rules: Rules
    quote: Quote
    signal: Signal
    blind: ExchangeError | StrategyFailed | None
    command: Command | None


def look(held: Held, exchange: Exchange, rules: Rules) -> Sight:
    """Look at the market once. Raises ExchangeError where not even a price is to be had."""
    quote = held.world.data.quote(exchange, held.bot.symbol)
    signal, blind = _signal(held, exchange)
    seen = Sight(rules=rules, quote=quote, signal=signal, blind=None, command=_command(held))
    return seen if blind is None else blinded(seen, blind)


def blinded(seen: Sight, error: ExchangeError | StrategyFailed) -> Sight:
    """Return what is left of a look without the strategy: nothing is entered, exits go on."""
    command = seen.command
    if command is not None and command.kind == Command.Kind.ENTER:
        refuse(command, error.fault if isinstance(error, ExchangeError) else Reason.INTERNAL)
        command = None
    return replace(seen, signal=NO_SIGNAL, blind=error, command=command)


def _signal(held: Held, exchange: Exchange) -> tuple[Signal, ExchangeError | StrategyFailed | None]:
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
    except StrategyFailed as error:
        return NO_SIGNAL, error
    held.candles = candles
    try:
        return strategy.signal(candles, values), None
    except StrategyFailed as error:
        # Not our code: it must not keep the stop from being watched.
        log.exception("bot %s: its strategy failed", held.bot.pk)
        return NO_SIGNAL, error


def _command(held: Held) -> Command | None:
    """Return the owner's command that waits for this tick; closes those that waited too long."""
    waiting = Command.objects.filter(bot=held.bot, status=Command.Status.PENDING)
    command = next(iter(waiting), None)  # one at most: a constraint says so
    if command is not None and command.expires_at <= timezone.now():
        expire_commands(held.bot.pk)
        return None
    return command


def refuse(command: Command, gate: str) -> None:
    """Close a command that this tick could not follow, with the gate that kept it back."""
    end(command, Command.Status.REFUSED, gate)


def end(command: Command, status: str, result: str = "") -> None:
    """Close a command that waits."""
    Command.objects.filter(pk=command.pk, status=Command.Status.PENDING).update(
        status=status, result=result, ended_at=timezone.now()
    )


def view(held: Held, sight: Sight, *, resting: Order | None, given_up: Order | None) -> View:
    """Return everything this tick's decision is made of.

    `resting`: the entry order at the exchange. `given_up`: an entry order that this tick saw end
    by its time, unfilled; one that the owner had asked for is asked for again. StrategyFailed
    where it cannot draw its ladder: look on with `blinded`.
    """
    state, command = held.state, sight.command
    kind = command.kind if command and command.kind != Command.Kind.CANCEL else None
    side = command.side if command else ""
    if given_up is not None and given_up.reason == Gate.COMMAND:
        kind, side = Command.Kind.ENTER, given_up.side
    return View(
        settings=held.bot.risk_settings,
        rules=sight.rules,
        position=state.position,
        levels=Levels(max_price=state.max_price_since_entry),
        day=Day(
            pnl=state.daily_pnl,
            trades=state.daily_trades_count,
            closed_at_loss=state.closed_at_loss,
        ),
        quote=sight.quote,
        signal=sight.signal,
        duty=state.duty,
        wind_down=state.wind_down,
        command=kind,
        asked_side=Side(side) if side else None,
        futures=held.bot.position_type == PositionType.FUTURES,
        record=limits.record_of(held),
        resting=None if resting is None else orders.as_resting(held, resting),
        fallback_due=given_up is not None,
        ladder=_ladder(held, sight),
    )


def _ladder(held: Held, sight: Sight) -> Ladder | None:
    """Return what the strategy wants to rest and what does; None: neither is anything."""
    resting = tuple(orders.as_rung(order) for order in orders.ladder(held))
    wanted: tuple[Rung, ...] = ()
    if held.has_rungs and held.state.duty != Duty.NONE and not _is_in_doubt(held):
        # Of one that failed, what rests is left as it is.
        is_lost = isinstance(sight.blind, StrategyFailed)
        wanted = resting if is_lost else _drawn(held, sight)
    elif not resting:
        return None
    return Ladder(wanted=wanted, resting=resting)


def _is_in_doubt(held: Held) -> bool:
    """Whether ledger and exchange disagree: nothing rests until the owner has said what is true."""
    state = held.state
    return state.status == Status.ERROR and state.reason in (Reason.RECONCILE, Reason.RESTORED)


def _drawn(held: Held, sight: Sight) -> tuple[Rung, ...]:
    ladder, strategy = strategies.ladder_of(held.bot.strategy), strategies.get(held.bot.strategy)
    if ladder is None:
        return ()
    ground = Ground(
        settings=held.bot.risk_settings,
        rules=sight.rules,
        position=held.state.position,
        lots=held.state.ladder_lots,
        quote=sight.quote,
    )
    try:
        return ladder.rungs(ground, strategies.clean(strategy, held.bot.params)).rungs
    except ParamErrors:
        return ()


def with_balance(held: Held, seen: View, exchange: Exchange) -> View:
    """Add what the account has free; coins in the bot's own protective orders are free to it."""
    holdings = exchange.balance()
    rules, nothing = seen.rules, Decimal(0)
    base, quote = holdings.get(rules.base), holdings.get(rules.quote)
    return replace(
        seen,
        free_base=(base.free if base else nothing) + orders.locked(held),
        free_quote=quote.free if quote else nothing,
        cost_margin=exchange.cost_margin(rules, seen.quote.ask),
    )
