"""A share of the random schedules, as many as fit into some fifteen seconds."""

import pytest

from bots.models import Order
from tests.level_a import running

#: `python -m tests.level_a` runs more, from other seeds.
SCHEDULES, SEED = 20, 5


@pytest.mark.replay
@pytest.mark.django_db
def test_random_schedules_of_kills_faults_and_clicks() -> None:
    totals = running.run(SCHEDULES, SEED)
    assert totals["schedules"] >= SCHEDULES
    assert min(totals["kills"], totals["freezes"], totals["orders"]) > SCHEDULES / 3, totals
    assert min(totals["forced"], totals["paid"]) > SCHEDULES / 10, totals
    assert not Order.objects.exists()
