"""What exchanges say of themselves beside their answers: used-up limits, and their clock."""

from typing import Protocol


class Meter(Protocol):
    """Takes note of it, for people to look at. Must be quick and must not fail: orders pass by."""

    def used(
        self, scope: str, account: str, what: str, *, used: int, most: int, seconds: float
    ) -> None:
        """`used` of `most` of a limit (`what`: weight/1M) is used up in a window of `seconds` more.

        `scope`: exchange, market and mode; `account`: a fingerprint of the key ("": the address).
        """
        ...

    def ahead(self, scope: str, milliseconds: float) -> None:
        """Note by how much the exchange's clock is ahead of ours."""
        ...
