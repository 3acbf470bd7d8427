"""Kinds of column: exact money on both databases, secrets that survive a lost key, search keys."""

import re
import unicodedata
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from fernet_fields import EncryptedTextField

from trading.market import quantize


def plain(value: Decimal) -> str:
    """Return the canonical text of a Decimal: no exponent, no trailing zeros, no minus zero."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


if TYPE_CHECKING:
    _Decimal = models.DecimalField[Any, Any]
else:
    _Decimal = models.DecimalField


class MoneyField(_Decimal):
    """numeric(38,18) on PostgreSQL, canonical text on SQLite, whose DecimalField loses digits.

    Compare and sum such columns in Python, never in SQL: on SQLite they order as text.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", 38)
        kwargs.setdefault("decimal_places", 18)
        super().__init__(*args, **kwargs)

    def get_internal_type(self) -> str:
        # Not "DecimalField": that would bring SQLite's float converter back.
        return "MoneyField"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "text" if connection.vendor == "sqlite" else "numeric(38, 18)"

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        exact = quantize(self.to_python(value))
        return plain(exact) if connection.vendor == "sqlite" else exact

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        return self.get_db_prep_value(value, connection)

    def from_db_value(self, value: Any, *_: object) -> Decimal | None:
        return None if value is None else Decimal(plain(Decimal(value)))


class Undecryptable(str):
    """A stored secret that no current Fernet key opens: falsy, and saved back as it was."""

    token: bytes

    def __new__(cls, token: bytes) -> "Undecryptable":
        empty = super().__new__(cls, "")
        empty.token = token
        return empty


@cache
def _keyring(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def keyring() -> MultiFernet:
    """Return settings.FERNET_KEYS: the first encrypts, all decrypt (ValueError if bad)."""
    return _keyring(tuple(settings.FERNET_KEYS))


class SecretField(EncryptedTextField):  # type: ignore[misc]
    """An encrypted text. A wrong or lost key yields Undecryptable instead of breaking the row."""

    @property
    def fernet(self) -> MultiFernet:
        """The keys of settings.FERNET_KEYS: the first encrypts, all decrypt (ValueError if bad)."""
        return keyring()

    def from_db_value(self, value: Any, *args: Any) -> str | None:
        try:
            decrypted: str | None = super().from_db_value(value, *args)
        except (InvalidToken, ValueError):
            return Undecryptable(bytes(value))
        return decrypted

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        if hasattr(value, "as_sql"):
            raise TypeError("a secret is encrypted here, so it cannot be an SQL expression")
        if isinstance(value, Undecryptable):
            return connection.Database.Binary(value.token)  # type: ignore[attr-defined]
        return super().get_db_prep_save(value, connection)

    def value_to_string(self, obj: models.Model) -> str:
        # Serialisation (dumpdata, admin history) must never carry a secret out.
        return ""


def words(text: str) -> list[str]:
    """Return the words of a text in capitals without accents or dots: `btc/usdt` -> BTC, USDT.

    The same on every database and in every locale: a Turkish i, dotted or not, is the I of BIT.
    """
    bare = (char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return [word for word in re.split(r"[\W_]+", "".join(bare).upper()) if word]


if TYPE_CHECKING:
    _Char = models.CharField[Any, Any]
else:
    _Char = models.CharField


class MarketKeyField(_Char):
    """What a market is found by, `BASE/QUOTE` in folded letters, made of its currencies."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        parts = (getattr(model_instance, name) for name in ("base", "quote"))
        key = "/".join("".join(words(part)) for part in parts)
        setattr(model_instance, self.attname, key)
        return key
