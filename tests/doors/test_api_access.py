"""Who may call what: every route as anonymous, owner and stranger, and with too few scopes."""

import json
from typing import Any

import pytest

from bots.api import api, throttle
from bots.models import ApiToken, BotConfig, BotState, Command, User
from bots.models.token import SCOPES
from tests.doors.client import KEY, PAPER, Answer, Caller, signed_in
from tests.doors.content import CANARIES, Content
from tests.undone import undone

MOVE = {"currency": "USDT", "amount": "1", "direction": "to_spot"}
#: A document of nobody's settings, and one of a bot.
NOTHING = {"format": "botsite", "version": 1}
FILE = {**NOTHING, "bots": [{"name": "x", "symbol": "BTC/USDT", "position_size_perc": "10"}]}
#: Every route: method, path, the scope it needs, a good body. {bot} and {key} are alice's.
ROUTES: list[tuple[str, str, str, Any]] = [
    ("POST", "/bots/{bot}/start", "trade", None),
    ("POST", "/bots/{bot}/stop", "trade", {"position": "after_exit"}),
    ("POST", "/bots/{bot}/enter", "trade", None),
    ("POST", "/bots/{bot}/exit", "trade", None),
    ("POST", "/bots/{bot}/cancel", "trade", None),
    ("POST", "/bots/{bot}/accept", "trade", None),
    ("POST", "/bots/{bot}/reconcile", "trade", None),
    ("GET", "/bots/{bot}/orders", "read", None),
    ("GET", "/bots/{bot}/trades", "read", None),
    ("GET", "/bots/{bot}/events", "read", None),
    ("GET", "/bots/{bot}/days", "read", None),
    ("GET", "/bots/{bot}/decisions", "read", None),
    ("GET", "/bots/{bot}/decisions/{number}", "read", None),
    ("GET", "/bots/{bot}/candles", "read", None),
    ("GET", "/bots/{bot}/expectation", "read", None),
    ("POST", "/bots/{bot}/twin", "trade", None),
    ("DELETE", "/bots/{bot}/twin", "trade", None),
    ("POST", "/bots/bulk", "trade", {"verb": "stop"}),
    ("GET", "/backtests", "read", None),
    ("POST", "/backtests", "trade", {"days": 1}),
    ("GET", "/backtests/{backtest}", "read", None),
    ("POST", "/backtests/{backtest}/cancel", "trade", None),
    ("GET", "/activity", "read", None),
    ("GET", "/alerts/channels", "read", None),
    ("GET", "/alerts/messages", "read", None),
    ("GET", "/bot-configs", "read", None),
    ("POST", "/bot-configs", "trade", PAPER),
    ("GET", "/bot-configs/export", "read", None),
    ("POST", "/bot-configs/import", "trade", FILE),
    ("GET", "/bot-configs/{bot}/export", "read", None),
    ("GET", "/bot-configs/{bot}", "read", None),
    ("PUT", "/bot-configs/{bot}", "trade", PAPER | {"symbol": "ETH/USDT"}),
    ("PATCH", "/bot-configs/{bot}", "trade", {"name": "x"}),
    ("DELETE", "/bot-configs/{bot}", "trade", None),
    ("GET", "/bot-states/{bot}", "read", None),
    ("GET", "/api-keys", "read", None),
    ("POST", "/api-keys", "keys", KEY),
    ("DELETE", "/api-keys?api_key={key}", "keys", None),
    ("GET", "/api-keys/balance?api_key={key}", "read", None),
    ("GET", "/api-keys/{key}", "read", None),
    ("DELETE", "/api-keys/{key}", "keys", None),
    ("GET", "/accounts", "read", None),
    ("GET", "/accounts/{account}", "read", None),
    ("PATCH", "/accounts/{account}", "trade", {"max_open_positions": 3}),
    ("GET", "/accounts/{account}/transfers", "read", None),
    ("POST", "/accounts/{account}/transfers", "keys", MOVE),
    ("POST", "/accounts/{account}/transfers/{transfer}/close", "keys", {"moved": True}),
]


def filled(path: str, content: Content) -> str:
    account = content.key.account
    return path.format(
        bot=content.bot.pk,
        key=content.key.pk,
        account=account.pk,
        transfer=account.transfers.latest("pk").pk,
        backtest=content.owner.backtests.latest("pk").pk,
        number=content.bot.decisions.latest("pk").pk,
    )


def body_of(path: str, body: Any, content: Content) -> Any:
    """Return the body of a route; some name bots there and not in the address."""
    if path == "/backtests" and body is not None:
        return {**body, "bot_config_id": content.bot.pk}
    return {**body, "ids": [content.bot.pk]} if path == "/bots/bulk" else body


def test_the_table_names_every_route() -> None:
    paths = api.get_openapi_schema(path_prefix="/")["paths"]
    known = {
        (method.upper(), path.replace("_id}", "}"))
        for path, methods in paths.items()
        for method in methods
    }
    assert known == {(method, path.partition("?")[0]) for method, path, _, _ in ROUTES}


def test_a_route_answers_its_owner_with_its_scope_and_nobody_else(
    content: Content, mallory: User, subtests: pytest.Subtests
) -> None:
    for method, path, scope, body in ROUTES:
        with subtests.test(f"{method} {path}"), undone():
            call = (method, filled(path, content), body_of(path, body, content))
            _a_route_is_the_owners(call, path, scope, content, mallory)


def _a_route_is_the_owners(
    call: tuple[str, str, Any], path: str, scope: str, content: Content, mallory: User
) -> None:
    """Those who are refused come first: they leave everything as it was."""
    _without_credentials_nothing_is_said(Caller()(*call))
    too_few = Caller(content.owner, *(name for name in SCOPES if name != scope))(*call)
    assert too_few.status == 403
    assert f"'{scope}'" in too_few.body["detail"]
    before = BotConfig.objects.values().get(pk=content.bot.pk)
    _a_stranger_learns_nothing(call[0], path, content, Caller(mallory)(*call))
    assert BotConfig.objects.values().get(pk=content.bot.pk) == before
    assert content.owner.accounts.filter(key__isnull=False).count() == 1
    _the_owner_sees_no_secret(content, Caller(content.owner, scope)(*call))


def _without_credentials_nothing_is_said(answer: Answer) -> None:
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert set(answer.body) == {"detail"}


def _a_stranger_learns_nothing(method: str, path: str, content: Content, answer: Answer) -> None:
    if "{" in path:
        assert answer.status == 404
    elif method == "GET":
        empty = ({"items": [], "count": 0}, {"items": [], "next": None}, NOTHING)
        assert answer.body in empty
    else:
        # A bot that the body names has to be the caller's, of many each.
        assert answer.status == (404 if path in ("/bots/bulk", "/backtests") else 201)
    assert content.bot.name not in json.dumps(answer.body)


def _the_owner_sees_no_secret(content: Content, answer: Answer) -> None:
    assert answer.status in (200, 201, 202, 204, 409)
    text = json.dumps(answer.body)
    for secret in (*CANARIES, KEY["api_key"], KEY["secret_key"], content.token):
        assert secret not in text
    if answer.body is not None:
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer wrong", "Basic {token}", "{token}", "Token {token}"]
)
def test_only_a_known_bearer_token_opens(header: str, alice: User) -> None:
    caller = Caller()
    caller.headers["Authorization"] = header.format(token=ApiToken.issue(alice, "x"))
    assert caller.get("/bot-configs").status == 401


def test_a_wrong_token_is_not_saved_by_a_session(alice: User) -> None:
    caller = Caller()
    caller.http = signed_in(alice)
    assert caller.get("/bot-configs").status == 200
    caller.headers["Authorization"] = "Bearer wrong"
    assert caller.get("/bot-configs").status == 401


def test_a_revoked_token_and_one_of_a_deactivated_user_do_not_open(alice: User) -> None:
    caller, other = Caller(alice), Caller(alice)
    token = ApiToken.objects.earliest("pk")
    ApiToken.objects.filter(pk=token.pk).update(revoked_at=token.created_at)
    assert caller.get("/bot-configs").status == 401
    assert other.get("/bot-configs").status == 200
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert other.get("/bot-configs").status == 401


def csrf(caller: Caller) -> str:
    """Return the CSRF token of a page that shows one."""
    page = caller.http.get("/api/v1/docs")
    text: str = page.content.decode().split('data-csrf-token="')[1].split('"')[0]
    return text


def test_a_session_changes_nothing_without_the_csrf_token(alice: User, bot: BotConfig) -> None:
    caller = Caller()
    caller.http = signed_in(alice, enforce_csrf_checks=True)
    for method, path in [("POST", f"/bots/{bot.pk}/start"), ("DELETE", f"/bot-configs/{bot.pk}")]:
        assert caller(method, path).status == 403
    assert not BotState.objects.exists()
    caller.headers["X-CSRFToken"] = csrf(caller)
    assert caller.post(f"/bots/{bot.pk}/start").status == 200
    assert BotState.objects.filter(pk=bot.pk).exists()


def test_a_token_needs_no_csrf_token(alice: User, bot: BotConfig) -> None:
    caller = Caller(alice)
    caller.http = signed_in(alice, enforce_csrf_checks=True)
    assert caller.post(f"/bots/{bot.pk}/start").status == 200


def live(owner: User) -> BotConfig:
    """Return a live bot that holds a position, as far as its rows say."""
    values = PAPER | {"mode": "live", "exchange": "binance", "symbol": "BTC/USDT"}
    answer = Caller(owner).post("/bot-configs", values)
    assert answer.status == 201
    return BotConfig.objects.get(pk=answer.body["id"])


def test_real_money_needs_the_scope_live(alice: User, settings: Any) -> None:
    settings.LIVE_TRADING_ENABLED = True
    bot = live(alice)
    session = Caller()
    session.http = signed_in(alice)
    paper = Caller(alice).post("/bot-configs", PAPER).body["id"]
    to_live = {"mode": "live", "exchange": "binance", "symbol": "BTC/USDT"}
    for caller in (Caller(alice, "read", "trade", "keys"), session):
        for answer in (
            caller.post("/bot-configs", PAPER | to_live),
            caller.patch(f"/bot-configs/{paper}", to_live),
            caller.put(f"/bot-configs/{bot.pk}", PAPER),
            caller.patch(f"/bot-configs/{bot.pk}", {"position_size_fixed": "9000"}),
            caller.post(f"/bots/{bot.pk}/start"),
            caller.post(f"/bots/{bot.pk}/enter"),
        ):
            assert answer.status == 403
            assert "'live'" in answer.body["detail"]
    assert not BotState.objects.exists()
    assert not Command.objects.exists()
    assert Caller(alice).post(f"/bots/{bot.pk}/start").status == 200


def test_stopping_a_live_bot_does_not_need_the_scope_live(alice: User, settings: Any) -> None:
    settings.LIVE_TRADING_ENABLED = True
    bot = live(alice)
    Caller(alice).post(f"/bots/{bot.pk}/start")
    assert Caller(alice, "trade").post(f"/bots/{bot.pk}/stop").status == 200
    assert BotState.objects.get(pk=bot.pk).status == "stopped"


def test_a_user_who_calls_too_often_waits(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "CALLS_PER_WINDOW", 3)
    monkeypatch.setattr(throttle, "WINDOW_SECONDS", 3600)
    caller = Caller(alice)
    answers = [caller.get("/bot-configs") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert Caller(alice).get("/bot-configs").status == 429
    assert Caller(bob).get("/bot-configs").status == 200


def test_the_count_begins_anew_with_the_next_minute(alice: User) -> None:
    counter = throttle.PerUser()
    assert [counter.count(1, now) for now in (60, 61, 119.9, 120)] == [1, 2, 3, 1]


@pytest.mark.parametrize("path", ["/bots/1/start", "/api-keys", "/bot-configs/1"])
def test_a_method_that_an_address_does_not_take_is_told_in_json(
    path: str, as_alice: Caller
) -> None:
    answer = as_alice("OPTIONS", path)
    assert answer.status == 405
    allowed = answer.headers["Allow"]
    assert answer.body == {"detail": f"This address takes {allowed}."}
    assert answer.headers["Content-Type"].startswith("application/json")
    assert allowed
