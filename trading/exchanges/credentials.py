"""What opens an account."""

from dataclasses import dataclass, field
from typing import NoReturn


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An API key in the clear. Lives in one process, shows nothing of itself."""

    api_key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(default="", repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials do not leave their process")
