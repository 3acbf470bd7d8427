"""/bot-configs: what the owner wants. Status, counters and is_active cannot be written."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F, QuerySet
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _
from ninja import Query, Router, Status

from bots import control
from bots.api import bot_schemas
from bots.api.access import ApiRequest, access
from bots.api.bots import VIA, own_bot
from bots.api.errors import Conflict, Invalid, Problem
from bots.api.pages import Page, Window, page
from bots.lifecycle import Mode
from bots.models import Account, BotConfig, User

router = Router()
NOTHING = {"api_key": _("There is no such key."), "account": _("There is no such account.")}
REFUSALS = {403: Problem, 404: Problem, 409: Conflict, 422: Invalid}


def _bots(user: User) -> QuerySet[BotConfig, Any]:
    """Return the user's bots with the id of their account's key, and nothing of the key itself."""
    rows: QuerySet[BotConfig, Any] = user.bots.alive().annotate(key_id=F("account__key__pk"))
    return rows


@router.get("", response=Page[bot_schemas.BotOut])
def bots(request: ApiRequest, window: Query[Window]) -> object:
    """List your bots by name."""
    return page(_bots(request.auth.user), window)


@router.post("", response={201: bot_schemas.BotOut, **REFUSALS}, auth=access("trade"))
def create(request: ApiRequest, config: bot_schemas.BotIn) -> object:
    """Make a bot. It starts when you start it. Mode live needs the scope `live`."""
    user = request.auth.user
    sent = config.model_dump(exclude_unset=True)
    values = _with_account(user, sent, config.mode)
    request.auth.needs_for(values.get("mode", Mode.PAPER))
    with _naming_what_was_sent(sent):
        bot = control.create(user, values)
    return Status(201, _bots(user).get(pk=bot.pk))


@router.get("/{bot_id}", response={200: bot_schemas.BotOut, 404: Problem})
def read(request: ApiRequest, bot_id: int) -> object:
    """Return one of your bots."""
    return get_object_or_404(_bots(request.auth.user), pk=bot_id)


@router.put("/{bot_id}", response={200: bot_schemas.BotOut, **REFUSALS}, auth=access("trade"))
def replace(request: ApiRequest, bot_id: int, config: bot_schemas.BotIn) -> object:
    """Set all of a bot's settings; those left out become their defaults, but the account stays."""
    values = config.model_dump(exclude={"api_key", "account"})
    named = config.model_dump(include={"api_key", "account"}, exclude_unset=True)
    return _edit(request, bot_id, values | named)


@router.patch("/{bot_id}", response={200: bot_schemas.BotOut, **REFUSALS}, auth=access("trade"))
def update(request: ApiRequest, bot_id: int, config: bot_schemas.BotPatch) -> object:
    """Set some of a bot's settings. What is left out stays, also within `params`."""
    sent = config.model_dump(exclude_unset=True)
    return _edit(request, bot_id, sent, keeps_params=True)


@router.delete("/{bot_id}", response={204: None, **REFUSALS}, auth=access("trade"))
def delete(request: ApiRequest, bot_id: int) -> object:
    """Delete a bot that is flat and settled. Its ledger stays with us."""
    control.delete(own_bot(request, bot_id), by=request.auth.user, via=VIA)
    return Status(204, None)


def _edit(
    request: ApiRequest, bot_id: int, sent: dict[str, Any], *, keeps_params: bool = False
) -> object:
    user = request.auth.user
    bot = own_bot(request, bot_id)
    mode = sent.get("mode", bot.mode)
    # Who changes a live bot decides about real money, also where it was live before.
    request.auth.needs_for(mode)
    request.auth.needs_for(bot.mode)
    changes = _with_account(user, sent, mode)
    with _naming_what_was_sent(sent):
        control.edit(bot, changes, by=user, via=VIA, keeps_params=keeps_params)
    return _bots(user).get(pk=bot_id)


def _with_account(user: User, sent: Mapping[str, Any], mode: str) -> dict[str, Any]:
    """Return `sent` with the ids of key and account resolved among the user's own rows."""
    values = {name: value for name, value in sent.items() if name not in ("api_key", "account")}
    named = {name: sent[name] for name in ("api_key", "account") if name in sent}
    if mode == Mode.PAPER:
        # A paper bot keeps a book of its own; null says what is so anyway.
        wrong = {name: _("A paper bot has a book of its own.") for name in named if named[name]}
        if wrong:
            raise ValidationError(wrong)
        return values
    found = {name: _own_account(user, name, pk) for name, pk in named.items()}
    if len(set(found.values())) > 1:
        raise ValidationError({"account": _("This is not the account of that key.")})
    for account in found.values():
        values["account"] = account
    return values


def _own_account(user: User, name: str, pk: int | None) -> Account | None:
    if pk is None:
        return None
    lookup = {"key": pk} if name == "api_key" else {"pk": pk}
    account = user.accounts.exclude(mode=Mode.PAPER).filter(**lookup).first()
    if account is None:
        # The same words for a row that is somebody else's: they must not learn that it exists.
        raise ValidationError({name: NOTHING[name]})
    return account


@contextmanager
def _naming_what_was_sent(sent: Mapping[str, Any]) -> Iterator[None]:
    """Say `api_key` in errors about the account, unless the caller spoke of the account."""
    try:
        yield
    except ValidationError as error:
        errors = error.update_error_dict({})
        if "account" in errors and "account" not in sent:
            errors["api_key"] = errors.pop("account")
        raise ValidationError(errors) from None
