"""Celery's doors: an id in, one call. Rows say what is due; a message is only a nudge.

Ticks are acknowledged before they run and never retried: a second run could send a second order.
"""

import logging
import time
from datetime import timedelta

from celery import shared_task
from celery.signals import worker_init, worker_ready
from django.conf import settings

from bots import accounts, control, reset, schedule, tick, transferring, watchlist
from bots import reconcile as reconciling
from bots import sweep as sweeping
from bots.alerts import turn
from bots.backtests import running as backtesting
from bots.meters import shared_meters
from bots.models import Heartbeat
from bots.watch import inspection
from trading.exchange import ExchangeError
from trading.exchanges import ccxt_exchange

log = logging.getLogger(__name__)


@worker_init.connect
def _preload(**_: object) -> None:
    """Import ccxt once in the parent: its children share the memory."""
    ccxt_exchange.preload()


@worker_ready.connect
def _catch_up(**_: object) -> None:
    """Look at once for what fell due while no worker ran."""
    schedule.send("bots.tasks.sweep")
    schedule.send("bots.tasks.canary")


@shared_task
def run_bot(bot_id: int) -> None:
    begun, meters = time.monotonic(), shared_meters()
    if tick.run(bot_id, only_if_due=True) is not None:
        meters.ticked(time.monotonic() - begun)
    meters.write()


@shared_task
def daily_reset() -> None:
    reset.daily_reset()


@shared_task
def reconcile(bot_id: int) -> None:
    try:
        for finding in reconciling.reconcile(bot_id):
            if not finding.ok:
                log.warning("bot %s: %s", finding.bot_id, finding.text)
    finally:
        control.compared(bot_id)


@shared_task
def sweep() -> None:
    sweeping.sweep()
    backtesting.recover()
    schedule.send("bots.tasks.inspect")


@shared_task
def canary() -> None:
    """Prove that a worker takes messages: the row's age is the platform's health."""
    Heartbeat.beat("worker")
    shared_meters().write()


@shared_task
def inspect() -> None:
    inspection.inspect()


# It watches its own time; Celery's limits are for one that cannot.
@shared_task(
    soft_time_limit=settings.BACKTEST_SECONDS + 30, time_limit=settings.BACKTEST_SECONDS + 60
)
def backtest(run_id: int) -> None:
    backtesting.run(run_id)


@shared_task
def send_alerts() -> None:
    turn.run()


@shared_task
def check_key(key_id: int) -> None:
    accounts.check_key(key_id)


@shared_task
def refresh_balance(account_id: int) -> None:
    accounts.refresh_balance(account_id)


@shared_task
def refresh_markets(exchange: str, mode: str, position_type: str = "spot") -> None:
    # A second message of the same minute finds the rows fresh.
    try:
        accounts.refresh_markets(exchange, mode, position_type, max_age=timedelta(minutes=1))
    except ExchangeError as error:
        log.warning("%s rules of %s (%s) not read: %s", position_type, exchange, mode, error)


@shared_task
def refresh_watched(exchange: str, mode: str, position_type: str) -> None:
    watchlist.refresh(watchlist.Place(exchange, mode, position_type))


@shared_task
def send_transfer(transfer_id: int) -> None:
    transferring.send(transfer_id)


@shared_task
def look_up_transfer(transfer_id: int) -> None:
    try:
        transferring.look_up(transfer_id)
    except ExchangeError as error:
        log.warning("transfer %s not looked up: %s", transfer_id, error)
