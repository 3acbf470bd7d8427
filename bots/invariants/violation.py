"""One thing that does not hold."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """`code` is the invariant; `bot_id` None: not of one bot."""

    code: str
    bot_id: int | None
    text: str

    def __str__(self) -> str:
        return f"{self.code} bot {self.bot_id or '-'}: {self.text}"
