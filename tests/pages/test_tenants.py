"""Every address x every verb x everybody. An address that is not in the table fails the build."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from bots.backtests.axes import Axis
from bots.models import (
    AlertDelivery,
    ApiKey,
    ApiToken,
    BotConfig,
    BotState,
    Command,
    Transfer,
    User,
)
from tests.doors.content import tried
from tests.pages.builders import (
    HTMX,
    bot_of,
    decision,
    filled,
    holding,
    sign_in,
    state_of,
    text_of,
)

#: Addresses of a single row that belongs to somebody: name -> verbs it takes.
OWNED = {
    "bot": "GET",
    "bot-panel": "GET",
    "bot-candles": "GET",
    "bot-start": "POST",
    "bot-stop": "GET POST",
    "bot-enter": "GET POST",
    "bot-exit": "GET POST",
    "bot-cancel": "POST",
    "bot-accept": "GET POST",
    "bot-reconcile": "POST",
    "bot-settings": "GET POST",
    "bot-delete": "GET POST",
    "bot-decisions": "GET",
    "bot-decision": "GET",
    "bot-orders": "GET",
    "bot-signals": "GET",
    "bot-signals-new": "POST",
    "bot-signals-remove": "POST",
    "bot-twin": "POST",
    "bot-twin-remove": "POST",
    "bot-fills": "GET",
    "bot-events": "GET",
    "bot-days": "GET",
    "bot-export": "GET",
    "bot-template": "GET POST",
    "bot-performance": "GET",
    "bot-trades-csv": "GET",
    "bot-days-csv": "GET",
    "bot-fills-csv": "GET",
    "backtest": "GET",
    "backtest-panel": "GET",
    "backtest-candles": "GET",
    "backtest-cancel": "POST",
    "backtest-delete": "POST",
    "backtest-paper": "POST",
    "backtest-trades-csv": "GET",
    "backtest-days-csv": "GET",
    "backtest-months-csv": "GET",
    "backtest-sets-csv": "GET",
    "backtest-try": "POST",
    "key-delete": "GET POST",
    "account-limits": "POST",
    "account-transfer": "GET POST",
    "transfer-close": "POST",
    "template-export": "GET",
    "template-rename": "POST",
    "template-delete": "GET POST",
    "token-revoke": "POST",
    "channel": "GET POST",
    "channel-log": "GET",
    "channel-test": "POST",
    "channel-confirm": "GET POST",
    "channel-delete": "GET POST",
    "session-end": "POST",
}
#: Pages that show the reader's own rows.
PERSONAL = {
    "dashboard": "GET",
    "board": "GET",
    "first-steps": "POST",
    "halt": "GET POST",
    "bot-new": "GET POST",
    "bot-check": "GET",
    "bots-bulk": "GET POST",
    "activity": "GET",
    "activity-rows": "GET",
    "activity-csv": "GET",
    "bots-import": "GET POST",
    "bots-export": "GET",
    "templates": "GET",
    "templates-export": "GET",
    "performance": "GET",
    "performance-fills": "GET",
    "performance-trades-csv": "GET",
    "performance-days-csv": "GET",
    "performance-fills-csv": "GET",
    "backtests": "GET",
    "backtest-new": "GET POST",
    "backtest-compare": "GET",
    "markets": "GET",
    "market-suggest": "GET",
    "keys": "GET POST",
    "profile": "GET POST",
    "token-create": "POST",
    "alerts": "GET POST",
    "alerts-log": "GET",
    "channel-new": "GET POST",
    "sessions-end": "POST",
    "status": "GET",
}
#: Pages of what belongs to all, beside which stands the reader's own.
SHARED = {"market": "GET", "market-watch": "POST"}
PUBLIC = {"hook", "hook-signed", "help", "language", "healthz", "set_language", "favicon"}
#: Tested beside their own code: the admin, the API, and the sign-in pages of allauth.
ELSEWHERE = ("admin/", "api/v1/", "accounts/", "static/")
VERBS = ("get", "head", "post", "put", "patch", "delete", "options")


def _patterns(resolver: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _patterns(entry, path)
        elif isinstance(entry, URLPattern):
            yield path, entry.name or ""


def test_every_address_is_in_the_table() -> None:
    here = [item for item in _patterns(get_resolver()) if not item[0].startswith(ELSEWHERE)]
    names = {name for _path, name in here}
    assert names == {*OWNED, *PERSONAL, *SHARED, *PUBLIC}


def _paths(bot: BotConfig, key: ApiKey, token: ApiToken) -> dict[str, str]:
    numbers = {
        "key-delete": key.pk,
        "account-limits": key.account_id,
        "account-transfer": key.account_id,
        "transfer-close": key.account.transfers.get().pk,
        "template-export": bot.owner.templates.get().pk,
        "template-rename": bot.owner.templates.get().pk,
        "template-delete": bot.owner.templates.get().pk,
        "token-revoke": token.pk,
        "session-end": UserSession.objects.get(user=bot.owner, ip="192.0.2.7").pk,
    }
    numbers |= {name: bot.owner.alert_channels.get().pk for name in OWNED if "channel" in name}
    found = {name: path for path, name in _patterns(get_resolver())}
    run = bot.backtests.get(kind="single").pk
    numbers |= {name: run for name in OWNED if name.startswith("backtest")}
    sweep = bot.backtests.get(kind="sweep").pk
    numbers |= {"backtest-sets-csv": sweep, "backtest-try": sweep}
    number = bot.decisions.get().pk
    found["channel-confirm"] = found["channel-confirm"].replace("<str:token>", "some-token")
    found["bot-decision"] = found["bot-decision"].replace("<int:number>", str(number))
    return {
        name: "/" + found[name].replace("<int:pk>", str(numbers.get(name, bot.pk)))
        for name in OWNED
    }


@pytest.fixture
def belongings(alice: User) -> tuple[BotConfig, ApiKey, ApiToken]:
    from bots import control, portable
    from bots.alerts import addresses, channels

    bot = bot_of(alice, name="Alice's secret bot")
    portable.keep(alice, "Recipe of Alice's secret bot", bot)
    state_of(bot, "running", "in_position", "trade", **holding())
    decision(bot)
    tried(bot)
    tried(bot, vary=[Axis(name="ema_fast", low=Decimal(5), high=Decimal(6), step=Decimal(1))])
    filled(bot, "buy", "1", "100")
    fields = {"exchange": "binance", "mode": "testnet", "label": "alice main"}
    key = control.put_key(
        alice, via="page", **fields, api_key="alicekey1234", secret_key="alicesecret1"
    )
    Transfer.objects.create(
        account=key.account,
        currency="USDT",
        amount=1,
        direction="to_spot",
        status="unknown",
        expires_at=timezone.now(),
    )
    ApiToken.issue(alice, "alice token")
    link = addresses.webhook("https://hooks.example.org/alices-own-place")
    made = channels.add(alice, "webhook", link, label="Channel of a secret bot", kinds=["error"])
    AlertDelivery.objects.create(
        channel=made, kind="error", subject="secret bot", body="secret bot"
    )
    UserSession.objects.create(
        user=alice, ip="192.0.2.7", session_key="elsewhere", user_agent="Alice's browser"
    )
    return bot, key, ApiToken.objects.get(owner=alice)


@pytest.mark.parametrize("who", ["mallory", "staff"])
def test_nobody_else_sees_or_moves_what_alice_owns(
    who: str, belongings: tuple[BotConfig, ApiKey, ApiToken], mallory: User, client: Client
) -> None:
    bot, key, token = belongings
    if who == "staff":
        mallory.is_staff = mallory.is_superuser = True
        mallory.save()
    sign_in(client, mallory)
    before = BotState.objects.values().get(pk=bot.pk)
    for name, path in _paths(bot, key, token).items():
        for verb in VERBS:
            response = getattr(client, verb)(path, {"position": "close"} if verb == "post" else {})
            assert response.status_code in (302, 404, 405, 200), (name, verb)
            body = response.content.decode()
            assert "secret bot" not in body, (name, verb)
            assert "alice main" not in body, (name, verb)
            if response.status_code == 302:
                assert response.url in ("/", "/profile/"), (name, verb)
            elif response.status_code == 200:
                assert verb == "options", (name, verb)
    assert BotState.objects.values().get(pk=bot.pk) == before
    assert Command.objects.count() == 0
    assert ApiKey.objects.filter(pk=key.pk).exists()
    assert ApiToken.objects.get(pk=token.pk).revoked_at is None
    assert Transfer.objects.get().status == "unknown"
    assert UserSession.objects.filter(user=bot.owner, ip="192.0.2.7").exists()
    assert bot.owner.templates.get().name == "Recipe of Alice's secret bot"
    assert bot.owner.alert_channels.get().deliveries.count() == 1


def test_a_foreign_bot_and_an_unknown_one_get_the_same_answer(
    belongings: tuple[BotConfig, ApiKey, ApiToken], mallory: User, client: Client
) -> None:
    bot, _key, _token = belongings
    sign_in(client, mallory)
    for path in ("panel/", "orders/", "stop/", "settings/", ""):
        foreign = client.get(f"/bots/{bot.pk}/{path}")
        unknown = client.get(f"/bots/99999999/{path}")
        assert foreign.status_code == unknown.status_code in (302, 404)
        assert text_of(foreign) == text_of(unknown)


def test_personal_pages_never_show_anothers_rows(
    belongings: tuple[BotConfig, ApiKey, ApiToken], mallory: User, client: Client
) -> None:
    bot, _key, _token = belongings
    sign_in(client, mallory)
    extras = ["/?q=secret", f"/bots/new/?from={bot.pk}", "/bots/bulk/?q=secret"]
    run = bot.backtests.get(kind="single").pk
    extras += [f"/backtests/new/?bot={bot.pk}", f"/backtests/new/?run={run}"]
    extras += [f"/backtests/compare/?run={run}", f"/backtests/{run}/"]
    extras += [f"/backtests/{bot.backtests.get(kind='sweep').pk}/"]
    extras += [f"/bots/new/?template={bot.owner.templates.get().pk}"]
    narrowed = f"?bot={bot.pk}&mode=paper&currency=USDT"
    extras += [f"/performance/fills/{narrowed}", f"/performance/fills.csv{narrowed}"]
    paths = [p for p, name in _patterns(get_resolver()) if name in PERSONAL]
    for path in [*("/" + p for p in paths), *extras]:
        body = client.get(path).content.decode()
        assert "secret bot" not in body, path
        assert "alice main" not in body, path
        assert "alice token" not in body, path
        assert "192.0.2.7" not in body, path


def test_halt_stops_only_ones_own_bots(
    belongings: tuple[BotConfig, ApiKey, ApiToken], mallory: User, client: Client
) -> None:
    sign_in(client, mallory)
    client.post("/halt/", {"position": "close"})
    assert BotState.objects.get(pk=belongings[0].pk).duty == "trade"


def test_strangers_are_sent_to_the_sign_in_form(
    belongings: tuple[BotConfig, ApiKey, ApiToken], client: Client
) -> None:
    personal = {name: "/" + p for p, name in _patterns(get_resolver()) if name in PERSONAL}
    tables = OWNED | PERSONAL
    for name, path in (_paths(*belongings) | personal).items():
        for verb in tables[name].split():
            response = getattr(client, verb.lower())(path)
            assert response.status_code == 302, (name, verb)
            assert response.url.startswith("/accounts/login/"), (name, verb)


def test_verbs_that_change_nothing_are_the_only_ones_a_link_can_send(
    belongings: tuple[BotConfig, ApiKey, ApiToken], alice: User, client: Client
) -> None:
    sign_in(client, alice)
    bot, _key, _token = belongings
    before = BotState.objects.values().get(pk=bot.pk)
    for name, path in _paths(*belongings).items():
        expected = 405 if "GET" not in OWNED[name] else 200
        assert client.get(path).status_code == expected, name
    assert BotState.objects.values().get(pk=bot.pk) == before
    assert Command.objects.count() == 0


def test_each_post_wants_a_csrf_token(
    belongings: tuple[BotConfig, ApiKey, ApiToken], alice: User
) -> None:
    strict = Client(enforce_csrf_checks=True)
    sign_in(strict, alice)
    personal = {name: "/" + p for p, name in _patterns(get_resolver()) if name in PERSONAL}
    for name, path in (_paths(*belongings) | personal).items():
        if "POST" in (OWNED | PERSONAL)[name]:
            assert strict.post(path).status_code == 403, name
    assert BotState.objects.get(pk=belongings[0].pk).duty == "trade"


def test_a_poll_of_an_expired_session_leads_the_whole_page_to_sign_in(client: Client) -> None:
    for path in ("/board/?v=1", "/bots/1/panel/?v=1"):
        headers = {**HTMX, "HX-Current-URL": "http://testserver/bots/1/"}
        response = client.get(path, headers=headers)
        assert response.status_code == 200
        assert response["HX-Redirect"] == "/accounts/login/?next=%2Fbots%2F1%2F&was=looking"
        assert response.content == b""


def test_an_id_too_large_for_the_database_is_unknown(alice: User, client: Client) -> None:
    sign_in(client, alice)
    assert client.get(f"/bots/{10**30}/orders/").status_code == 404
    assert client.get(f"/bots/{10**30}/").status_code == 302


def test_the_status_page_is_for_operators(alice: User, client: Client) -> None:
    sign_in(client, alice)
    assert client.get("/status/").status_code == 404
    alice.is_staff = True
    alice.save()
    assert client.get("/status/").status_code == 200
