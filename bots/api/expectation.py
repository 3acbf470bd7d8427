"""/bots/{id}/twin and /expectation: a paper twin beside a bot, and what lies between the two."""

from datetime import datetime
from typing import Any

from ninja import Router, Schema, Status
from pydantic import Field

from bots import twins
from bots.api.access import ApiRequest, access
from bots.api.bots import REFUSALS, VIA, own_bot
from bots.api.errors import Invalid, Problem
from bots.api.shapes import Money
from bots.expectation import beside

router = Router()
#: Trades that an answer lists, newest first; all of them count in the sums.
NEWEST = 200


class Twin(Schema):
    bot_config_id: int
    twin_id: int


class PartsOut(Schema):
    """A result, or a gap, and the four parts that add up to it, in quote currency."""

    fees: Money = Field(description="funding among them; a cost is negative")
    slippage: Money
    timing: Money = Field(
        description="of paired trades: what they came to at the prices decided on"
    )
    signal: Money = Field(description="of trades that one side only made")
    total: Money


class TripOut(Schema):
    """A round trip; closed_at is null while it is open and counts at the last price."""

    fill: int = Field(alias="number", description="the id of its first fill")
    side: str
    decided_at: datetime
    closed_at: datetime | None
    result: Money
    fees: Money
    slippage: Money


class PairOut(Schema):
    live: TripOut
    twin: TripOut
    gap: PartsOut


class ExpectationOut(Schema):
    """`since` and all below are null or empty until the bot and its twin have both started."""

    twin_id: int | None
    since: datetime | None = None
    differences: list[str] = []
    live: PartsOut | None = None
    twin: PartsOut | None = None
    gap: PartsOut | None = None
    pairs: list[PairOut] = []
    live_only: list[TripOut] = []
    twin_only: list[TripOut] = []


@router.get("/{bot_id}/expectation", response={200: ExpectationOut, 404: Problem})
def expectation(request: ApiRequest, bot_id: int) -> object:
    """Hold a bot's result against that of its paper twin; twin_id is null where it has none."""
    found = beside(own_bot(request, bot_id))
    if found is None:
        return {"twin_id": None}
    told: dict[str, object] = {"twin_id": found.twin.pk, "since": found.since}
    told["differences"] = found.differences
    if found.result is not None:
        result = found.result
        told |= {"live": result.live, "twin": result.twin, "gap": result.gap}
        told |= {"pairs": _newest(result.pairs)}
        told |= {"live_only": _newest(result.live_only), "twin_only": _newest(result.twin_only)}
    return told


def _newest(rows: tuple[Any, ...]) -> list[Any]:
    return list(rows[::-1][:NEWEST])


@router.post("/{bot_id}/twin", response={200: Twin, **REFUSALS, 422: Invalid}, auth=access("trade"))
def make(request: ApiRequest, bot_id: int) -> object:
    """Have a paper twin run beside a live or testnet bot. One that is there gets its settings."""
    bot = own_bot(request, bot_id)
    twin = twins.make(bot, by=request.auth.user, via=VIA)
    return {"bot_config_id": bot.pk, "twin_id": twin.pk}


@router.delete("/{bot_id}/twin", response={204: None, **REFUSALS}, auth=access("trade"))
def remove(request: ApiRequest, bot_id: int) -> object:
    """Take the twin away. One that holds a position closes it, and stays a paper bot by itself."""
    twins.remove(own_bot(request, bot_id), by=request.auth.user, via=VIA)
    return Status(204, None)
