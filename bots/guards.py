"""Rules across rows that a check constraint cannot say: a bot trades on its owner's account only.

Triggers, made anew after every migration: SQLite drops them whenever it rebuilds a table.
"""

from typing import Any

from django.db import connections

RULE = "(SELECT owner_id FROM bots_account WHERE id = NEW.account_id) <> NEW.owner_id"
MESSAGE = "the account belongs to another user"

POSTGRESQL = f"""
CREATE OR REPLACE FUNCTION bots_account_is_the_owners() RETURNS trigger AS $$
BEGIN
    IF {RULE} THEN
        RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$ LANGUAGE plpgsql;
DROP TRIGGER IF EXISTS bots_account_is_the_owners ON bots_botconfig;
CREATE TRIGGER bots_account_is_the_owners
    BEFORE INSERT OR UPDATE OF account_id, owner_id ON bots_botconfig
    FOR EACH ROW EXECUTE FUNCTION bots_account_is_the_owners();
"""


def _sqlite(event: str) -> str:
    name = f"bots_account_is_the_owners_{event.split()[0].lower()}"
    return f"""
    CREATE TRIGGER IF NOT EXISTS {name} BEFORE {event} ON bots_botconfig
    WHEN {RULE} BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END
    """


def install(using: str, **_: Any) -> None:
    """Make the triggers on the database `using` (a post_migrate receiver)."""
    connection = connections[using]
    if "bots_botconfig" not in connection.introspection.table_names():
        return
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for event in ("INSERT", "UPDATE OF account_id, owner_id"):
                cursor.execute(_sqlite(event))
        else:
            cursor.execute(POSTGRESQL)
