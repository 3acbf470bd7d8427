"""Moving stored keys to a new Fernet key: resumable, and never over a newer key."""

from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import CommandError

from bots import rotation
from bots.invariants import safety
from bots.models import ApiKey, User
from bots.models.fields import SecretField, Undecryptable
from tests.doors.content import CANARIES, make_key


def fernet() -> str:
    return Fernet.generate_key().decode()


def opens(pk: int, key: str) -> bool:
    """Whether `key` alone opens what is stored, and it is what was put in."""
    stored = rotation.tokens(ApiKey.objects.filter(pk=pk)).get()
    opened = [
        Fernet(key).decrypt(bytes(stored[f"{name}_token"])).decode() for name in rotation.SECRETS
    ]
    return opened == list(CANARIES)


@pytest.fixture
def rotated(alice: User, settings: Any) -> tuple[list[ApiKey], str]:
    """Three keys under the old Fernet key, and a new one put in front of it."""
    keys = [make_key(alice, f"key {number}") for number in range(3)]
    new = fernet()
    settings.FERNET_KEYS = [new, *settings.FERNET_KEYS]
    return keys, new


def test_every_key_is_moved_and_means_the_same(rotated: Any) -> None:
    keys, new = rotated
    done = rotation.rotate()
    assert (done.rotated, done.current, done.undecryptable) == (3, 0, [])
    assert all(opens(key.pk, new) for key in keys)
    done = rotation.rotate()
    assert (done.rotated, done.current) == (0, 3)


def test_the_old_key_may_go_afterwards(rotated: Any, settings: Any) -> None:
    keys, new = rotated
    rotation.rotate()
    settings.FERNET_KEYS = [new]
    row = ApiKey.objects.defer(None).get(pk=keys[0].pk)
    assert (row.api_key, row.secret_key, row.passphrase) == CANARIES


def test_a_dry_run_writes_nothing(rotated: Any) -> None:
    before = list(rotation.tokens(ApiKey.objects.order_by("pk")))
    assert rotation.rotate(dry_run=True).rotated == 3
    assert [{k: bytes(v) for k, v in row.items()} for row in before] == [
        {k: bytes(v) for k, v in row.items()}
        for row in rotation.tokens(ApiKey.objects.order_by("pk"))
    ]


def test_a_run_that_was_cut_short_is_taken_up(
    rotated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, new = rotated
    replace = rotation._replace

    def dies(row: rotation.Row, *rest: Any) -> bool:
        if row.pk == keys[1].pk:
            raise KeyboardInterrupt
        return replace(row, *rest)

    monkeypatch.setattr(rotation, "_replace", dies)
    with pytest.raises(KeyboardInterrupt):
        rotation.rotate()
    monkeypatch.setattr(rotation, "_replace", replace)
    done = rotation.rotate()
    assert (done.rotated, done.current) == (2, 1)
    assert all(opens(key.pk, new) for key in keys)


def test_what_nobody_can_open_is_reported_and_left_alone(rotated: Any) -> None:
    keys, _ = rotated
    lost = Fernet(fernet()).encrypt(b"lost")
    ApiKey.objects.filter(pk=keys[1].pk).update(secret_key=rotation.raw(lost))
    out = StringIO()
    with pytest.raises(CommandError) as error:
        call_command("rotate_keys", stdout=out, stderr=out)
    assert error.value.returncode == 1
    assert out.getvalue().splitlines() == [
        "rotated: 2, under the first key already: 0",
        f"no key in FERNET_KEYS opens these, they were not touched: {keys[1].pk}",
    ]
    stored = rotation.tokens(ApiKey.objects.filter(pk=keys[1].pk)).get()
    assert bytes(stored["secret_key_token"]) == lost
    row = ApiKey.objects.defer(None).get(pk=keys[1].pk)
    assert isinstance(row.secret_key, Undecryptable)
    assert row.api_key == CANARIES[0]


def test_a_secret_that_is_replaced_meanwhile_is_not_overwritten(
    rotated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, _ = rotated
    replace = rotation._replace

    def late(row: rotation.Row, *rest: Any) -> bool:
        if row.pk == keys[0].pk:
            # The owner is quicker: the row holds another secret when ours arrives.
            ApiKey.objects.filter(pk=row.pk).update(secret_key="quicker")
        return replace(row, *rest)

    monkeypatch.setattr(rotation, "_replace", late)
    done = rotation.rotate()
    assert done.contended == [keys[0].pk]
    assert ApiKey.objects.defer(None).get(pk=keys[0].pk).secret_key == "quicker"
    monkeypatch.setattr(rotation, "_replace", replace)
    assert rotation.rotate().contended == []
    assert ApiKey.objects.defer(None).get(pk=keys[0].pk).secret_key == "quicker"


def test_a_key_that_is_deleted_meanwhile_is_no_error(
    rotated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = rotation._replace

    def late(row: rotation.Row, *rest: Any) -> bool:
        ApiKey.objects.filter(pk=row.pk).delete()
        return replace(row, *rest)

    monkeypatch.setattr(rotation, "_replace", late)
    done = rotation.rotate()
    assert (done.rotated, done.contended) == (0, [])


def test_every_secret_column_is_moved_and_inspected() -> None:
    moved = {model: set(columns) for model, columns in rotation.TABLES}
    queries = " ".join(safety.SECRETS.values())
    for model in apps.get_models():
        fields = {f.name for f in model._meta.concrete_fields if isinstance(f, SecretField)}
        assert fields == moved.get(model, set()), model
        if fields:
            assert model._meta.db_table in queries
            assert all(name in queries for name in fields)
