"""Moves stored secrets to the first key of FERNET_KEYS, so that old ones can be retired.

Exchange keys and alert addresses are bytes in columns of their own; secrets of second factors are
tokens in the JSON of django-allauth's table.
"""

from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction
from django.db.models import BinaryField, ExpressionWrapper, F, Model, QuerySet

from bots.models import AlertChannel, ApiKey, Hook
from bots.models.fields import Undecryptable

SECRETS = ("api_key", "secret_key", "passphrase")
#: Each table with its secret columns.
TABLES: tuple[tuple[type[Model], tuple[str, ...]], ...] = (
    (ApiKey, SECRETS),
    (AlertChannel, ("secret_url",)),
    (Hook, ("secret",)),
)
FACTOR_SECRETS = ("secret", "seed")
ATTEMPTS = 5


@dataclass(slots=True, kw_only=True)
class Rotation:
    """What became of the stored secrets: how many rows, and which nobody can open or moved on.

    Keys by their number, alert channels as "channel 7", signal addresses alike, second factors by
    the names of their users (`lost_factors`). `contended`: replaced again and again while we tried;
    the next run takes them.
    """

    rotated: int = 0
    current: int = 0
    undecryptable: list[int | str] = field(default_factory=list)
    lost_factors: list[str] = field(default_factory=list)
    contended: list[int | str] = field(default_factory=list)


def rotate(*, dry_run: bool = False) -> Rotation:
    """Encrypt every stored secret with the first Fernet key; what is so already is left alone.

    A run that was cut short is taken up by the next: each row is rewritten by itself, and only if
    it still holds what was read, so a key that its owner replaces meanwhile is never overwritten.
    Rows that no key of FERNET_KEYS opens are reported and not touched.
    """
    keys = [Fernet(key) for key in settings.FERNET_KEYS]
    done = Rotation()
    for model, columns in TABLES:
        rows = model._default_manager.order_by("pk")
        for pk in rows.values_list("pk", flat=True).iterator(chunk_size=500):
            row = Row(model=model, columns=columns, pk=pk)
            for _ in range(ATTEMPTS):
                if _rotate_one(row, keys, done, dry_run=dry_run):
                    break
            else:
                done.contended.append(row.name)
    for pk in Authenticator.objects.order_by("pk").values_list("pk", flat=True):
        _rotate_factor(pk, keys, done, dry_run=dry_run)
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row with secret columns."""

    model: type[Model]
    columns: tuple[str, ...]
    pk: int

    @property
    def name(self) -> int | str:
        word = {AlertChannel: "channel", Hook: "signal address"}.get(self.model)
        return f"{word} {self.pk}" if word else self.pk

    @property
    def tokens(self) -> "QuerySet[Any, dict[str, Any]]":
        return tokens(self.model._default_manager.filter(pk=self.pk), self.columns)


def _rotate_factor(pk: int, keys: list[Fernet], done: Rotation, *, dry_run: bool) -> None:
    """Bring one second factor up to date, alone with it: a sign-in waits, and is not undone."""
    with transaction.atomic():
        row = Authenticator.objects.select_for_update().filter(pk=pk).first()
        if row is None:
            return
        stored = {name: row.data[name].encode() for name in FACTOR_SECRETS if name in row.data}
        try:
            fresh = {name: _under_first(token, keys) for name, token in stored.items()}
        except InvalidToken:
            done.lost_factors.append(row.user.get_username())
            return
        changes = {name: token.decode() for name, token in fresh.items() if token is not None}
        if not changes:
            done.current += 1
            return
        done.rotated += 1
        if not dry_run:
            row.data.update(changes)
            row.save(update_fields=["data"])


def _rotate_one(row: Row, keys: list[Fernet], done: Rotation, *, dry_run: bool) -> bool:
    """Bring one row up to date; False if somebody rewrote it in between."""
    stored = row.tokens.first()
    if stored is None:
        return True
    try:
        fresh = {name: _under_first(bytes(stored[f"{name}_token"]), keys) for name in row.columns}
    except InvalidToken:
        done.undecryptable.append(row.name)
        return True
    if all(token is None for token in fresh.values()):
        done.current += 1
        return True
    if not dry_run and not _replace(row, stored, fresh):
        return False
    done.rotated += 1
    return True


def _under_first(token: bytes, keys: list[Fernet]) -> bytes | None:
    """Return the token under the first key, None if it is already; InvalidToken if none opens."""
    try:
        keys[0].decrypt(token)
    except InvalidToken:
        return MultiFernet(keys).rotate(token)
    return None


def _replace(row: Row, stored: dict[str, Any], fresh: dict[str, bytes | None]) -> bool:
    unchanged = {f"{name}_token": stored[f"{name}_token"] for name in row.columns}
    changes = {name: raw(token) for name, token in fresh.items() if token is not None}
    return bool(row.tokens.filter(**unchanged).update(**changes))


def tokens(
    rows: QuerySet[Any], columns: tuple[str, ...] = SECRETS
) -> "QuerySet[Any, dict[str, Any]]":
    """Return the stored bytes of `rows`, not decrypted, as `<column>_token`."""
    bare = {
        f"{name}_token": ExpressionWrapper(F(name), output_field=BinaryField()) for name in columns
    }
    found: QuerySet[Any, dict[str, Any]] = rows.annotate(**bare).values(*bare)
    return found


def raw(token: bytes) -> Undecryptable:
    """Return what stores `token` as it is; an expression would be encrypted itself, as text."""
    return Undecryptable(token)
