"""What the shapes of the API are made of: exact money, clean text, ids, and strict bodies."""

from decimal import Decimal
from typing import Annotated

from ninja import Schema
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)

from bots.models.fields import plain
from bots.numbers import finite

Money = Annotated[Decimal, BeforeValidator(finite), PlainSerializer(plain, return_type=str)]


def _no_nul(text: str) -> str:
    # PostgreSQL cannot hold it; SQLite could.
    if "\x00" in text:
        raise ValueError("Null characters are not allowed.")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_no_nul)]

#: An id that a database can look up.
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Strict(Schema):
    """A body: fields that are not listed are refused by name."""

    model_config = ConfigDict(extra="forbid", use_enum_values=True)
