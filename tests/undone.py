"""Many looks at one costly scene: each in a transaction that is taken back."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction


@contextmanager
def undone() -> Iterator[None]:
    """Take back what happens to the database in here."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
