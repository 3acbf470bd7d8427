"""Messages to the workers, by the name of a task: each a nudge that may be lost."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import ChannelError, OperationalError

from bots.schedule.rows import RUN_BOT

log = logging.getLogger(__name__)
#: The bots whose nudges wait for the end of `together`; None: each is sent at once.
_waiting: ContextVar[list[int] | None] = ContextVar("waiting", default=None)


def nudge(bot_id: int) -> None:
    """Queue a tick once the transaction commits. A lost nudge costs one interval, no more."""
    waiting = _waiting.get()
    if waiting is None:
        transaction.on_commit(lambda: send(RUN_BOT, bot_id))
    else:
        transaction.on_commit(lambda: waiting.append(bot_id))


@contextmanager
def together() -> Iterator[None]:
    """Send the nudges of many bots at the end: a broker that is away is then waited for once."""
    waiting: list[int] = []
    token = _waiting.set(waiting)
    try:
        yield
    finally:
        _waiting.reset(token)
        nudge_spread(waiting, 0)


@contextmanager
def silently() -> Iterator[None]:
    """Send no nudge of what is done inside."""
    token = _waiting.set([])
    try:
        yield
    finally:
        _waiting.reset(token)


def send(task: str, *args: int | str, expires: float = 60) -> bool:
    """Queue a task by name, now. Returns whether the broker took it; never raises."""
    try:
        current_app.send_task(task, args=args, expires=expires, retry=False)
    except (OperationalError, OSError) as error:
        log.warning("broker did not take %s%r: %s", task, args, error)
        return False
    return True


def queued() -> int | None:
    """Return how many messages wait for a worker; None while the broker cannot be asked."""
    queue = current_app.conf.task_default_queue
    connection: Any
    with current_app.connection_for_read() as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=2)
            found = connection.default_channel.queue_declare(queue, passive=True)
        except ChannelError:
            return 0  # nobody has used the queue yet
        except (OperationalError, OSError, *connection.recoverable_connection_errors) as error:
            log.warning("broker did not tell the length of its queue: %s", error)
            return None
        return int(found.message_count)


def nudge_spread(bot_ids: Sequence[int], seconds: float) -> None:
    """Queue many ticks evenly over `seconds`, so that a reset does not hit exchanges at once.

    Blocks for that time; gives up quietly when the broker is away (beat's rows go on).
    """
    slots = max(int(seconds * 10), 1)
    size = -(-len(bot_ids) // slots) or 1
    for start in range(0, len(bot_ids), size):
        if start:
            time.sleep(seconds / slots)
        if not _send_all(bot_ids[start : start + size]):
            return


def _send_all(bot_ids: Iterable[int]) -> bool:
    return all(send(RUN_BOT, bot_id) for bot_id in bot_ids)
