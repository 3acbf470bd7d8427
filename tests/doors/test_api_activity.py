"""The time line and the decisions through the API."""

import json
from dataclasses import fields
from datetime import timedelta

from django.utils import timezone

from bots import control
from bots.activity import SOURCES, Facts
from bots.api import api
from bots.models import BotConfig, Command, Decision, StateEvent, User
from tests.doors.client import Caller
from tests.doors.content import CANARIES, fill, make_key, traded_bot


def test_the_time_line_comes_in_parts(as_alice: Caller, alice: User) -> None:
    bot = traded_bot(alice)
    make_key(alice)
    whole = as_alice.get("/activity").body
    assert whole["next"] is None
    assert {line["kind"] for line in whole["items"]} == {"state", "order", "command", "key"}
    times = [line["at"] for line in whole["items"]]
    assert times == sorted(times, reverse=True)
    seen, path = [], "/activity?limit=2"
    while path:
        part = as_alice.get(path).body
        seen += part["items"]
        path = f"/activity?limit=2&before={part['next']}" if part["next"] else ""
    assert seen == whole["items"]
    order = next(line for line in whole["items"] if line["kind"] == "order")
    assert (order["bot_config_id"], order["result"]) == (bot.pk, "filled")
    assert isinstance(order["amount"], str)
    key = next(line for line in whole["items"] if line["kind"] == "key")
    assert (key["account"] is not None, key["what"], key["bot_config_id"]) == (True, "added", None)


def test_commands_and_funding_as_they_are_stored(as_alice: Caller, alice: User) -> None:
    bot = fill(alice).bot
    commands = as_alice.get("/activity?kind=command").body["items"]
    asked = [(line["what"], line["result"], line["by"], line["via"]) for line in commands]
    assert asked == [(what, "done", "alice", "page") for what in ("enter", "exit", "enter")]
    orders = {line["order"] for line in as_alice.get("/activity?kind=order").body["items"]}
    assert {line["order"] for line in commands} == orders
    control.command(bot, "exit", by=alice, via="api")
    Command.objects.filter(status="pending").update(expires_at=timezone.now())
    (late,) = as_alice.get("/activity?kind=command&errors=true").body["items"]
    assert (late["what"], late["result"], late["reason"]) == ("exit", "expired", None)
    control.stop(bot, by=alice, via="page")
    (late,) = as_alice.get("/activity?kind=command&errors=true").body["items"]
    assert (late["result"], late["reason"], late["order"]) == ("refused", "stopped", None)
    (payment,) = as_alice.get("/activity?kind=funding").body["items"]
    assert (payment["what"], payment["amount"], payment["reason"]) == ("paid", "-0.01", "USDT")
    assert (payment["details"], payment["bot_config_id"]) == ("ETH/USDT:USDT", bot.pk)


def test_a_deleted_key_stays_a_line_without_its_secret(as_alice: Caller, alice: User) -> None:
    key = make_key(alice)
    assert as_alice.delete(f"/api-keys/{key.pk}").status == 204
    gone, added = as_alice.get("/activity?kind=key").body["items"]
    assert (gone["what"], gone["by"], gone["via"]) == ("deleted", "alice", "api")
    assert (added["what"], added["account"]) == ("added", gone["account"])
    assert gone["details"] == CANARIES[0][-4:]
    assert not any(secret in json.dumps([gone, added]) for secret in CANARIES)


def test_every_field_of_a_line_is_in_the_schema() -> None:
    described = api.get_openapi_schema()["components"]["schemas"]["LineOut"]["properties"]
    names = {one.name for one in fields(Facts)}
    assert set(described) == {"at", "kind", "bot_config_id", "account"} | names
    kinds = described["kind"]["description"]
    assert all(source.name in kinds for source in SOURCES)


def test_filters(as_alice: Caller, alice: User) -> None:
    bot = traded_bot(alice)
    kinds = {line["kind"] for line in as_alice.get("/activity?kind=order").body["items"]}
    assert kinds == {"order"}
    event = StateEvent.objects.filter(bot=bot).latest("pk")
    StateEvent.objects.filter(pk=event.pk).update(move="fail")
    (line,) = as_alice.get("/activity?errors=true").body["items"]
    assert (line["what"], line["at"][:19]) == ("fail", event.at.isoformat()[:19])
    after = (event.at + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert as_alice.get(f"/activity?since={after}").body == {"items": [], "next": None}
    assert as_alice.get(f"/activity?until={after}&bot={bot.pk}").body["items"]
    assert as_alice.get(f"/activity?bot={bot.pk + 1}").body["items"] == []
    assert as_alice.get("/activity?kind=gossip").status == 422
    assert as_alice.get("/activity?since=2026-01-01T00:00:00").status == 422, "no zone"


def test_nobody_hears_of_others(alice: User, mallory: User) -> None:
    bot = traded_bot(alice)
    number = Decision.objects.filter(bot=bot).latest("pk").pk
    caller = Caller(mallory)
    assert caller.get("/activity").body["items"] == []
    assert caller.get(f"/activity?bot={bot.pk}").body["items"] == []
    assert caller.get(f"/bots/{bot.pk}/decisions").status == 404
    assert caller.get(f"/bots/{bot.pk}/decisions/{number}").status == 404
    own = traded_bot(mallory)
    assert caller.get(f"/bots/{own.pk}/decisions/{number}").status == 404


def test_decisions_and_their_replay(as_alice: Caller, alice: User) -> None:
    bot = traded_bot(alice)
    listed = as_alice.get(f"/bots/{bot.pk}/decisions").body
    assert listed["count"] == Decision.objects.filter(bot=bot).count()
    entered = next(row for row in listed["items"] if row["action"] == "enter")
    found = as_alice.get(f"/bots/{bot.pk}/decisions/{entered['id']}").body
    assert found["decision"] == entered
    assert (found["can"], found["same"], found["signal"]) == ("replay", True, "judged")
    assert found["now"] == found["then"]
    assert [rule["mark"] for rule in found["rules"]][-1] == "decided"
    assert found["inputs"]["settings"]["position_size_fixed"]
    assert found["decision"]["order"].startswith("bs")


def test_a_decision_of_an_earlier_version_has_no_verdict_now(as_alice: Caller, alice: User) -> None:
    bot: BotConfig = traded_bot(alice)
    row = Decision.objects.filter(bot=bot, action="enter").latest("pk")
    kept = json.loads(row.inputs) | {"v": "older"}
    Decision.objects.filter(pk=row.pk).update(inputs=json.dumps(kept))
    found = as_alice.get(f"/bots/{bot.pk}/decisions/{row.pk}").body
    assert (found["can"], found["same"], found["now"]) == ("other_version", None, None)
    assert found["rules"] == []
