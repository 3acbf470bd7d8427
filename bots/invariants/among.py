"""Which bots a check looks at: all of them, or a range of their numbers."""

from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import QuerySet

Rows = TypeVar("Rows", bound=QuerySet[Any, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Among:
    """Bots from the number `first` to `last`, both included; `last` None: without an end."""

    first: int = 0
    last: int | None = None

    def of(self, rows: Rows, path: str = "bot") -> Rows:
        """Leave the rows whose bot, at `path`, is among these."""
        if self == EVERY:
            return rows
        # In one filter: two would join a relation to many rows twice.
        ends = {f"{path}__gte": self.first}
        if self.last is not None:
            ends[f"{path}__lte"] = self.last
        return rows.filter(**ends)

    def __contains__(self, bot_id: int) -> bool:
        return self.first <= bot_id and (self.last is None or bot_id <= self.last)

    @property
    def is_first(self) -> bool:
        """Whether what belongs to no bot is looked at as well."""
        return self.first == 0


EVERY = Among()
