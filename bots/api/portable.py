"""/bot-configs/export and /import: settings as the files that the pages save and read."""

from collections.abc import Sequence
from typing import Any, Literal

from django.core.exceptions import NON_FIELD_ERRORS, RequestDataTooBig
from django.db import transaction
from django.shortcuts import get_object_or_404
from ninja import Router, Schema, Status

from bots import portable as files
from bots.api.access import ApiRequest, access
from bots.api.errors import Invalid, Problem
from bots.lifecycle import Mode
from bots.portable import Entry, Unreadable

router = Router()


class Imported(Schema):
    """`id` is null on a dry run."""

    id: int | None
    name: str


class ImportOut(Schema):
    bots: list[Imported]
    templates: list[Imported]


@router.get("/export", response=dict[str, Any])
def export_all(request: ApiRequest) -> object:
    """Return the settings of all your bots and templates: no account, no key, no state."""
    user = request.auth.user
    return files.document(bots=user.bots.alive(), templates=user.templates.all())


@router.get("/{bot_id}/export", response={200: dict[str, Any], 404: Problem})
def export_one(request: ApiRequest, bot_id: int) -> object:
    """Return the settings of one of your bots."""
    return files.document(bots=[get_object_or_404(request.auth.user.bots.alive(), pk=bot_id)])


@router.post(
    "/import",
    response={200: ImportOut, 201: ImportOut, 403: Problem, 422: Invalid},
    auth=access("trade"),
)
def import_(
    request: ApiRequest, modes: Literal["paper", "file"] = "paper", dry_run: bool = False
) -> object:
    """Make what such a document holds, all of it or nothing. Bots are stopped, names made unique.

    `modes=file` keeps the modes of the document; live ones need the scope `live`.
    """
    user = request.auth.user
    try:
        content = files.loads(request.body)
    except RequestDataTooBig:
        return _invalid("At most 256 KiB; larger files are for the page and manage.py import_bots.")
    except Unreadable as problem:
        return _invalid(str(problem))
    entries = files.plan(user, content, keeps_modes=modes == "file")
    for entry in entries:
        request.auth.needs_for(Mode.LIVE if entry.is_live else Mode.PAPER)
    if any(entry.errors for entry in entries):
        return Status(422, {"detail": [row for entry in entries for row in _problems(entry)]})
    if dry_run:
        return Status(200, _made([(entry, None) for entry in entries]))
    with transaction.atomic():
        rows = [(entry, files.make(user, entry).pk) for entry in entries]
    return Status(201, _made(rows))


def _invalid(text: str) -> object:
    return Status(422, {"detail": [{"loc": ["body"], "msg": text}]})


def _problems(entry: Entry) -> list[dict[str, Any]]:
    place: list[str | int] = ["body", *entry.key]
    return [
        {"loc": place if name == NON_FIELD_ERRORS else [*place, name], "msg": text}
        for name, texts in entry.errors.items()
        for text in texts
    ]


def _made(rows: Sequence[tuple[Entry, int | None]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {"bots": [], "templates": []}
    for entry, pk in rows:
        found[entry.key[0]].append({"id": pk, "name": entry.draft.name})
    return found
