"""The time line and the decisions through the API."""

import json
from datetime import timedelta

from bots.models import BotConfig, Decision, StateEvent, User
from tests.doors.client import Caller
from tests.doors.content import make_key, traded_bot


def test_the_time_line_comes_in_parts(as_alice: Caller, alice: User) -> None:
    bot = traded_bot(alice)
    make_key(alice)
    whole = as_alice.get("/activity").body
    assert whole["next"] is None
    assert {line["kind"] for line in whole["items"]} == {"state", "order", "key"}
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
