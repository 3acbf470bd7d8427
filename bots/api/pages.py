"""Lists: `?limit=&offset=` in, `{"items": [...], "count": n}` out."""

from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet
from ninja import Schema
from pydantic import Field

MAX_LIMIT = 500

Item = TypeVar("Item")


class Window(Schema):
    """Which part of a list is asked for; more than MAX_LIMIT rows are never sent at once."""

    limit: int = Field(100, ge=1, description=f"at most {MAX_LIMIT} are sent")
    offset: int = Field(0, ge=0, le=1_000_000_000)


class Page(Schema, Generic[Item]):
    items: list[Item]
    count: int = Field(description="all rows, not only those of this page")


def page(rows: QuerySet[Any, Any], window: Window) -> dict[str, list[Model] | int]:
    """Return the part of `rows` that `window` asks for, and how many there are."""
    limit = min(window.limit, MAX_LIMIT)
    items = list(rows[window.offset : window.offset + limit])
    return {"items": items, "count": rows.count()}
