"""What a mutation of the table of legal rows would change without another test noticing."""

from bots import lifecycle
from bots.models.state import _legal_rows


def test_the_rows_for_the_database_are_the_whole_table() -> None:
    rows = list(lifecycle.rows())
    assert len(rows) == len(lifecycle.ALLOWED)
    for (status, reasons, duties), (allowed, of, under) in zip(
        rows, lifecycle.ALLOWED, strict=True
    ):
        assert (status, set(reasons), set(duties)) == (allowed.value, set(of), set(under))
        assert reasons == sorted(reasons)


def test_the_models_constraint_is_made_of_every_row() -> None:
    """The migration has it word by word; what `makemigrations` compares it with is the model."""
    assert len(_legal_rows().children) == len(lifecycle.ALLOWED)
