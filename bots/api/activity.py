"""/activity: what happened to all bots, orders, funds and keys of the caller, newest first."""

from datetime import datetime
from typing import Annotated

from ninja import Query, Router, Schema
from pydantic import AwareDatetime, Field

from bots.activity import Item, Kind, Wanted, facts, newest
from bots.api.access import ApiRequest
from bots.api.pages import MAX_LIMIT
from bots.api.shapes import Money

router = Router()


class Filters(Schema):
    """What is asked for; `before` is the `next` of the answer before."""

    bot: int | None = Field(None, description="a bot's id: its own lines alone")
    kind: Kind | None = None
    errors: bool = Field(False, description="what a person has to look at, alone")
    since: AwareDatetime | None = Field(None, description="included")
    until: AwareDatetime | None = Field(None, description="not included")
    before: Annotated[str, Field(max_length=60)] = ""
    limit: int = Field(100, ge=1, description=f"at most {MAX_LIMIT} are sent")


class LineOut(Schema):
    at: datetime
    kind: str = Field(
        description="state, order, command, funding, transfer, key, check (a refused key) or access"
        " (second factor, sessions, password, tokens)"
    )
    bot_config_id: int | None
    account: int | None = Field(description="of a transfer or a key")
    what: str = Field(
        description="move, purpose, command, direction; of funding received or paid; of a key "
        "added, replaced, deleted or checked; of access what happened"
    )
    result: str | None = Field(description="the status it led to")
    reason: str | None = Field(description="why; of a command the gate that refused it")
    details: str | None
    by: str | None
    via: str | None
    order: str | None = Field(description="client_order_id")
    side: str | None
    amount: Money | None = Field(description="of funding negative when it was paid")
    price: Money | None = Field(description="the average, else the limit, else the trigger")


class Lines(Schema):
    items: list[LineOut]
    next: str | None = Field(description="ask with it as `before` for what is older; null: the end")


@router.get("", response=Lines)
def listed(request: ApiRequest, filters: Query[Filters]) -> object:
    """List what happened, newest first. Lines are not counted: `next` leads on."""
    wanted = Wanted(
        bot=filters.bot,
        kind=filters.kind,
        errors=filters.errors,
        first=filters.since,
        end=filters.until,
    )
    limit = min(filters.limit, MAX_LIMIT)
    found = newest(request.auth.user, wanted, limit + 1, filters.before)
    more = found[limit - 1].cursor if len(found) > limit else None
    return {"items": [_line(item) for item in found[:limit]], "next": more}


def _line(item: Item) -> dict[str, object]:
    return {
        "at": item.at,
        "kind": item.name,
        "bot_config_id": item.row.bot_id if item.is_of_bot else None,
        "account": item.account.pk if item.account else None,
        **vars(facts(item)),
    }
