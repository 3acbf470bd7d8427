"""SQLite has one writer: a long piece of work is done on a copy, and its rows are brought over.

The copy is the whole database, in a file of its own that nobody else sees. What was made there for
one bot comes over in one short transaction, so others wait for that alone, and see all or nothing.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from django.conf import settings
from django.db import connection, models, transaction

from bots import schedule
from bots.lifecycle import Duty
from bots.models import (
    BotConfig,
    BotState,
    DecisionCandles,
    Installation,
    PaperBalance,
    PaperOrder,
)

#: Folders of copies, in DATA_DIR: they hold all that the database holds.
NAME = "demo-copy-"
Model = type[models.Model]
OF_ACCOUNT = "account_id = (SELECT account_id FROM past.bots_botconfig WHERE id = %s)"
#: Rows of a life that lead to their bot ("%s") by another one.
INDIRECT: dict[Model, str] = {
    DecisionCandles: "decision_id IN (SELECT id FROM past.bots_decision WHERE bot_id = %s)",
    PaperBalance: OF_ACCOUNT,
    PaperOrder: OF_ACCOUNT,
}


def is_possible() -> bool:
    """Whether there is one writer, and no transaction that the copy would be taken out of."""
    return connection.vendor == "sqlite" and not connection.in_atomic_block


class Copy:
    """A copy of the database, as of now; inside `in_use` this thread works on it alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Orders bear its mark: both have to know the same.
        Installation.get()
        connection.ensure_connection()
        with closing(sqlite3.connect(path)) as copy:
            connection.connection.backup(copy)
            self._numbers = dict(copy.execute("SELECT name, seq FROM sqlite_sequence"))

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Have all queries of this thread go to the copy."""
        kept, known = connection.connection, connection.settings_dict
        connection.settings_dict = {**known, "NAME": str(self._path)}
        connection.connection = None
        try:
            yield
        finally:
            if connection.connection is not None:
                connection.connection.close()
            connection.connection, connection.settings_dict = kept, known

    def bring_over(self, bot: BotConfig) -> bool:
        """Give a bot that never started the life that it had in the copy; False if it did start.

        `bot` is as it was copied: one that was edited or deleted meanwhile keeps what it has.
        """
        with connection.cursor() as cursor:
            cursor.execute("ATTACH DATABASE %s AS past", [str(self._path)])
            try:
                with transaction.atomic():
                    return self._bring_over(bot)
            finally:
                cursor.execute("DETACH DATABASE past")

    def _bring_over(self, bot: BotConfig) -> bool:
        unchanged = BotConfig.objects.alive().filter(pk=bot.pk, updated_at=bot.updated_at)
        if not unchanged.exists() or BotState.objects.filter(pk=bot.pk).exists():
            return False
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, seq FROM sqlite_sequence")
            now = dict(cursor.fetchall())
            # Others have used some of the numbers meanwhile.
            moved = _moved()
            shifts = {
                model: now.get(table, 0) - self._numbers.get(table, 0)
                for model in moved
                if isinstance(model._meta.pk, models.AutoField)
                for table in [model._meta.db_table]
            }
            for model, where in moved.items():
                if model in shifts:
                    where += f" AND id > {self._numbers.get(model._meta.db_table, 0)}"
                cursor.execute(_insert(model, where, shifts), [bot.pk])
            cursor.execute(
                "UPDATE main.bots_botconfig SET is_active ="
                " (SELECT is_active FROM past.bots_botconfig AS lived WHERE lived.id = %s)"
                " WHERE id = %s",
                [bot.pk, bot.pk],
            )
        state = BotState.objects.get(pk=bot.pk)
        schedule.sync(bot.pk, None if state.duty == Duty.NONE else bot.check_interval_seconds)
        schedule.nudge(bot.pk)
        return True


def _moved() -> dict[Model, str]:
    """Return what a life leaves behind, each kind of rows with the condition for one bot's.

    All that names a bot, but no other bot (a twin); candles of charts, tick times and the like are
    the present's.
    """
    direct = {
        relation.related_model: f"{relation.field.column} = %s"
        for relation in BotConfig._meta.related_objects
        if relation.related_model is not BotConfig
    }
    return {**direct, **INDIRECT}


def _insert(model: Model, where: str, shifts: dict[Model, int]) -> str:
    """Return the statement that takes over a bot's rows: they, and what they name, renumbered."""
    columns, values = [], []
    for field in model._meta.concrete_fields:
        named = field.related_model if field.is_relation else None
        shift = shifts.get(model if field.primary_key and named is None else named, 0)  # type: ignore[arg-type]
        column = connection.ops.quote_name(str(field.column))
        columns.append(column)
        values.append(f"{column} + {shift}" if shift else column)
    table = connection.ops.quote_name(model._meta.db_table)
    # Names of our own tables and columns, and numbers.
    return (
        f"INSERT INTO main.{table} ({', '.join(columns)})"  # noqa: S608
        f" SELECT {', '.join(values)} FROM past.{table} WHERE {where}"
    )


@contextmanager
def copied() -> Iterator[Copy]:
    """Yield a copy of the database; it is gone afterwards, and so is what a killed process left."""
    home = Path(settings.DATA_DIR)
    for left in home.glob(f"{NAME}*"):
        rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=NAME, dir=home) as folder:
        yield Copy(Path(folder) / "copy.sqlite3")
