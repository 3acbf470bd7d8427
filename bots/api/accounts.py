"""/accounts: the accounts on exchanges that keys open, and the limits their bots share."""

from typing import Any

from django.db.models import F, QuerySet
from django.shortcuts import get_object_or_404
from ninja import Query, Router

from bots import control
from bots.api import schemas
from bots.api.access import ApiRequest, access
from bots.api.bots import VIA
from bots.api.errors import Conflict, Invalid, Problem
from bots.api.pages import Page, Window, page
from bots.lifecycle import Mode
from bots.models import Account, User

router = Router()
REFUSALS = {403: Problem, 404: Problem, 409: Conflict, 422: Invalid}


def _accounts(user: User) -> QuerySet[Account, Any]:
    """Return the user's accounts on exchanges. A paper bot's own book is none of them."""
    rows: QuerySet[Account, Any] = Account.objects.filter(owner=user).exclude(mode=Mode.PAPER)
    return rows.annotate(key_id=F("key__pk")).order_by("pk")


@router.get("", response=Page[schemas.AccountOut])
def accounts(request: ApiRequest, window: Query[Window]) -> object:
    """List your accounts with their limits."""
    return page(_accounts(request.auth.user), window)


@router.get("/{account_id}", response={200: schemas.AccountOut, 404: Problem})
def read(request: ApiRequest, account_id: int) -> object:
    """Return one of your accounts."""
    return get_object_or_404(_accounts(request.auth.user), pk=account_id)


@router.patch("/{account_id}", response={200: schemas.AccountOut, **REFUSALS}, auth=access("trade"))
def update(request: ApiRequest, account_id: int, limits: schemas.AccountIn) -> object:
    """Set an account's limits. One in mode live needs the scope `live`."""
    user = request.auth.user
    account = get_object_or_404(_accounts(user), pk=account_id)
    request.auth.needs_for(account.mode)
    control.edit_account(account, limits.model_dump(exclude_unset=True), by=user, via=VIA)
    return _accounts(user).get(pk=account_id)
