"""/bots/bulk: one verb for many bots, each of them by itself."""

from typing import Annotated, Literal

from django.http import Http404
from ninja import Router, Schema
from pydantic import Field

from bots import bulk as many
from bots.api.access import ApiRequest, access
from bots.api.errors import Invalid, Problem
from bots.api.shapes import Id, Strict
from bots.bulk import Act
from bots.lifecycle import WindDown

router = Router()


class BulkIn(Strict):
    ids: Annotated[list[Id], Field(min_length=1, max_length=many.MOST)]
    verb: Literal["start", "stop"]
    position: WindDown = Field(WindDown.LEAVE, description="stop: what becomes of open positions")


class BulkRow(Schema):
    """What became of one bot. `done`: it changed; `failed`: it did not, and `detail` says why."""

    bot_config_id: int
    done: bool
    failed: bool
    detail: str


class BulkOut(Schema):
    results: list[BulkRow]


@router.post(
    "/bulk",
    response={200: BulkOut, 403: Problem, 404: Problem, 422: Invalid},
    auth=access("trade"),
)
def bulk(request: ApiRequest, what: BulkIn) -> object:
    """Start or stop up to 500 bots, each by itself; again does no harm.

    One id that is not yours is a 404 for all, and starting a live bot needs the scope `live`.
    """
    user, act = request.auth.user, Act(what.verb if what.verb == "start" else what.position)
    bots = list(many.chosen(user, what.ids))
    if len(bots) != len(set(what.ids)):
        raise Http404
    if act == Act.START:
        for bot in bots:
            request.auth.needs_for(bot.mode)
    # A caller of the API says what becomes of positions, those not seen yet among them.
    rows = many.carry_out(user, what.ids, act, via="api", held=what.ids)
    return {
        "results": [
            {"bot_config_id": r.bot.pk, "done": r.done, "failed": r.failed, "detail": r.text}
            for r in rows
        ]
    }
