"""U1: a hundred clicks at once, through the site itself."""

import threading
from collections import Counter

import pytest
from django_celery_beat.models import PeriodicTask

from bots import schedule
from bots.models import BotConfig, BotState, StateEvent
from tests.doors.client import Caller
from tests.faults import stage
from tests.testexchange import ExchangeControl
from tests.whole.processes import Beat, Web

pytestmark = pytest.mark.long(seconds=15)


def test_U1_of_100_parallel_clicks_the_last_committed_one_holds(
    ticking: Beat, site: Web, bot: BotConfig, exchange: ExchangeControl, as_alice: Caller
) -> None:
    gate, answers, lock = threading.Barrier(100), Counter[int](), threading.Lock()

    def click(verb: str) -> None:
        gate.wait(timeout=30)
        status, _ = site.ask("POST", f"/api/v1/bots/{bot.pk}/{verb}", as_alice.headers)
        with lock:
            answers[status] += 1

    verbs = ["start", "stop"] * 50
    threads = [threading.Thread(target=click, args=(verb,)) for verb in verbs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert answers.total() == 100
    assert {status for status in answers if status >= 500} == set(), answers
    last = StateEvent.objects.filter(bot=bot, move__in=["start", "stop"]).order_by("-pk")[0]
    stage.come_to_rest(ticking)
    state, is_on = BotState.objects.get(pk=bot.pk), last.move == "start"
    assert (state.duty == "trade") is is_on
    assert BotConfig.objects.get(pk=bot.pk).is_active is is_on
    rows = PeriodicTask.objects.filter(name=schedule.row_name(bot.pk))
    assert rows.count() == int(is_on)
    stage.assert_all_holds(exchange, ticking)
