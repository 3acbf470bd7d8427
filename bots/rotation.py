"""Moves stored exchange keys to the first key of FERNET_KEYS, so that old ones can be retired."""

from dataclasses import dataclass, field
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db.models import BinaryField, ExpressionWrapper, F, QuerySet

from bots.models import ApiKey
from bots.models.fields import Undecryptable

SECRETS = ("api_key", "secret_key", "passphrase")
ATTEMPTS = 5


@dataclass(slots=True, kw_only=True)
class Rotation:
    """What became of the stored keys: how many, and the ids that nobody can open or that moved on.

    `contended`: replaced again and again while we tried; the next run takes them.
    """

    rotated: int = 0
    current: int = 0
    undecryptable: list[int] = field(default_factory=list)
    contended: list[int] = field(default_factory=list)


def rotate(*, dry_run: bool = False) -> Rotation:
    """Encrypt every stored secret with the first Fernet key; what is so already is left alone.

    A run that was cut short is taken up by the next: each row is rewritten by itself, and only if
    it still holds what was read, so a key that its owner replaces meanwhile is never overwritten.
    Rows that no key of FERNET_KEYS opens are reported and not touched.
    """
    keys = [Fernet(key) for key in settings.FERNET_KEYS]
    done = Rotation()
    for pk in ApiKey.objects.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=500):
        for _ in range(ATTEMPTS):
            if _rotate_one(pk, keys, done, dry_run=dry_run):
                break
        else:
            done.contended.append(pk)
    return done


def _rotate_one(pk: int, keys: list[Fernet], done: Rotation, *, dry_run: bool) -> bool:
    """Bring one row up to date; False if somebody rewrote it in between."""
    stored = tokens(ApiKey.objects.filter(pk=pk)).first()
    if stored is None:
        return True
    try:
        fresh = {name: _under_first(bytes(stored[f"{name}_token"]), keys) for name in SECRETS}
    except InvalidToken:
        done.undecryptable.append(pk)
        return True
    if all(token is None for token in fresh.values()):
        done.current += 1
        return True
    if not dry_run and not _replace(pk, stored, fresh):
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


def _replace(pk: int, stored: dict[str, Any], fresh: dict[str, bytes | None]) -> bool:
    unchanged = {f"{name}_token": stored[f"{name}_token"] for name in SECRETS}
    changes = {name: raw(token) for name, token in fresh.items() if token is not None}
    return bool(tokens(ApiKey.objects.filter(pk=pk)).filter(**unchanged).update(**changes))


def tokens(rows: QuerySet[ApiKey]) -> QuerySet[ApiKey, dict[str, Any]]:
    """Return the stored bytes of `rows`, not decrypted, as `<column>_token`."""
    columns = {
        f"{name}_token": ExpressionWrapper(F(name), output_field=BinaryField()) for name in SECRETS
    }
    found: QuerySet[ApiKey, dict[str, Any]] = rows.annotate(**columns).values(*columns)
    return found


def raw(token: bytes) -> Undecryptable:
    """Return what stores `token` as it is; an expression would be encrypted itself, as text."""
    return Undecryptable(token)
