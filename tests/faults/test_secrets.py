"""S1, S2, S3: keys that are revoked, lost, or moved to another Fernet key while bots run."""

import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import override_settings

from bots import control, schedule
from bots.lease import Outcome
from bots.models import ApiKey, BotConfig, BotState, Decision, User
from botsite.platform.bootstrap import ROOT
from tests.doors.client import Caller, signed_in
from tests.faults import stage
from tests.testexchange import DEFAULT_API_KEY, DEFAULT_SECRET, ExchangeControl
from tests.whole.api import state_of, wait_for
from tests.whole.conftest import MakeBot
from tests.whole.processes import Beat, Worker

pytestmark = pytest.mark.long(seconds=8)

BOBS, ROTATED = "b" * 64, "r" * 64

Tick = Callable[[int], Outcome | None]


def bot_of(owner: User, account: Any) -> BotConfig:
    """Start a live bot on another account."""
    values = {"exchange": "binance", "mode": "live", "symbol": "BTC/USDT", "account": account}
    size = {"position_size_fixed": Decimal(100), "check_interval_seconds": 1}
    bot = control.create(owner, {"name": "Other", **values, **size})
    control.start(bot, by=owner, via="page")
    return bot


def test_S1_a_key_revoked_in_mid_run_stops_its_bots_within_one_tick(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller, bob: User
) -> None:
    exchange.add_account("bob", api_key=BOBS, secret="secret", balances={"USDT": 9000})
    secrets = {"api_key": BOBS, "secret_key": "secret"}
    key = ApiKey.put(owner=bob, exchange="binance", mode="live", label="main", **secrets)
    bot, other = live_bot(), bot_of(bob, key.account)
    for one in (bot, other):
        tick_now(one.pk)
    assert state_of(as_alice, bot.pk)["status"] == "running"
    exchange.revoke_key(DEFAULT_API_KEY)
    for one in (bot, other):
        tick_now(one.pk)
    state = state_of(as_alice, bot.pk)
    assert (state["text"], state["duty"]) == ("error (api key invalid)", "none")
    assert BotState.objects.get(pk=other.pk).status == "running"
    stage.assert_books_agree(exchange)


@pytest.mark.parametrize("keys", [[], [Fernet.generate_key().decode()]], ids=["lost", "wrong"])
def test_S2_without_the_fernet_key_its_bots_stop_and_the_site_works(
    keys: list[str],
    exchange: ExchangeControl,
    live_bot: MakeBot,
    tick_now: Tick,
    as_alice: Caller,
    alice: User,
    bob: User,
    settings: Any,
) -> None:
    bot = live_bot()
    tick_now(bot.pk)
    paper = control.create(
        bob, {"name": "Paper", "symbol": "CALM/USDT", "position_size_fixed": Decimal(100)}
    )
    control.start(paper, by=bob, via="page")
    with override_settings(FERNET_KEYS=keys):
        for one in (bot, paper):
            tick_now(one.pk)
        state = state_of(as_alice, bot.pk)
        assert (state["text"], state["duty"]) == ("error (api key decrypt failed)", "none")
        assert BotState.objects.get(pk=paper.pk).status == "running"
        for user in (alice, bob):
            browser = signed_in(user)
            for path in ("/", "/keys/"):
                assert browser.get(path).status_code == 200, path
        assert as_alice.get("/api-keys").status == 200
        stage.assert_books_agree(exchange)
    # Nothing was overwritten: with the right key the bot runs again.
    control.start(bot, by=alice, via="page")
    tick_now(bot.pk)
    assert state_of(as_alice, bot.pk)["status"] == "running"


def rotate(env: dict[str, str]) -> str:
    told = subprocess.run(
        [sys.executable, "manage.py", "rotate_keys"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout


def test_S3_keys_are_rotated_under_running_bots_without_a_failed_tick(
    slate: None,
    beat: Beat,
    worker_env: dict[str, str],
    live_bot: MakeBot,
    exchange: ExchangeControl,
    as_alice: Caller,
    bob: User,
    tmp_path: Path,
) -> None:
    old, new = os.environ["FERNET_KEYS"], Fernet.generate_key().decode()
    exchange.add_account("rotated", api_key=ROTATED, secret="secret", balances={"USDT": 9000})
    secrets = {"api_key": ROTATED, "secret_key": "secret"}
    key = ApiKey.put(owner=bob, exchange="binance", mode="live", label="main", **secrets)
    bots = [live_bot(), live_bot(name="Second", symbol="ETH/USDT"), bot_of(bob, key.account)]
    both = {**worker_env, "FERNET_KEYS": f"{new},{old}"}
    worker = Worker(tmp_path / "worker.log", both)
    after = Worker(tmp_path / "after.log", {**worker_env, "FERNET_KEYS": new})
    schedule.ensure_platform_rows()
    try:
        worker.start()
        beat.start()
        wait_for(as_alice, bots[0].pk, status="running")
        assert rotate(both).splitlines()[0].startswith("rotated: 2,")
        assert rotate(both).splitlines()[0].startswith("rotated: 0,")
        for bot in bots:
            stage.wait_for_ticks(bot, 2)
        worker.end()
        after.start()  # the old key is gone for good
        for bot in bots:
            stage.wait_for_ticks(bot, 2)
        assert not Decision.objects.filter(action="failed").exists()
        with override_settings(FERNET_KEYS=[new]):
            stored = ApiKey.objects.defer(None).get(account=bots[0].account)
            assert (stored.api_key, stored.secret_key) == (DEFAULT_API_KEY, DEFAULT_SECRET)
        stage.assert_all_holds(exchange, beat)
    finally:
        worker.end()
        after.end()
