"""/api-keys: write-only keys and what their accounts hold. No exchange is called from here."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from ninja import Query, Router, Status

from bots import control, schedule
from bots.api import schemas
from bots.api.access import ApiRequest, access
from bots.api.bots import VIA
from bots.api.errors import Conflict, Invalid, Problem
from bots.api.pages import Page, Window, page
from bots.api.throttle import seldom
from bots.models import ApiKey, Balance, User
from bots.models.fields import plain

router = Router()
FRESH = timedelta(seconds=60)
ASK_AGAIN_SECONDS = 10


def _keys(user: User) -> QuerySet[ApiKey, Any]:
    return ApiKey.objects.filter(account__owner=user).select_related("account").order_by("pk")


@router.get("", response=Page[schemas.KeyOut], auth=access("read"))
def keys(request: ApiRequest, window: Query[Window]) -> object:
    """List your keys: last four characters, rights, and what the last check said."""
    return page(_keys(request.auth.user), window)


@router.post("", response={201: schemas.KeyOut, 409: Conflict, 422: Invalid}, auth=access("keys"))
def put(request: ApiRequest, key: schemas.KeyIn) -> object:
    """Store a key. One with the same exchange, mode and label replaces the old one."""
    if key.exchange not in settings.LIVE_EXCHANGES:
        known = ", ".join(settings.LIVE_EXCHANGES)
        raise ValidationError({"exchange": _("Keys are taken for: %s.") % known})
    try:
        row = control.put_key(request.auth.user, via=VIA, **key.model_dump())
    except IntegrityError:
        message = _("This key was replaced at the same time.")
        raise control.Refusal("outpaced", message) from None
    return Status(201, _keys(request.auth.user).get(pk=row.pk))


@router.get("/balance", response={200: schemas.BalanceOut, 404: Problem})
def balance(request: ApiRequest, api_key: int) -> object:
    """Tell what a key's account held at `as_of`. An old answer has a worker ask again."""
    key = get_object_or_404(_keys(request.auth.user), pk=api_key)
    row = Balance.objects.filter(account_id=key.account_id).first()
    row = row or Balance(account_id=key.account_id)
    is_old = row.as_of is None or timezone.now() - row.as_of > FRESH
    if is_old and seldom(f"balance:{key.account_id}", ASK_AGAIN_SECONDS):
        schedule.send("bots.tasks.refresh_balance", key.account_id)
    total: dict[str, Decimal] = {}
    for part in (row.spot, row.futures):
        for currency, units in part.items():
            total[currency] = total.get(currency, Decimal(0)) + Decimal(units)
    return {
        "spot": row.spot,
        "futures": row.futures,
        "total": {currency: plain(units) for currency, units in total.items()},
        "as_of": row.as_of,
        "message": row.message,
    }


@router.get("/{key_id}", response={200: schemas.KeyOut, 404: Problem})
def read(request: ApiRequest, key_id: int) -> object:
    """Return one of your keys, without its secrets."""
    return get_object_or_404(_keys(request.auth.user), pk=key_id)


@router.delete("/{key_id}", response={204: None, 404: Problem, 409: Conflict}, auth=access("keys"))
def delete(request: ApiRequest, key_id: int) -> object:
    """Forget a key. Its account, orders and bots stay; those bots need another key."""
    key = get_object_or_404(_keys(request.auth.user), pk=key_id)
    control.drop_key(key, by=request.auth.user, via=VIA)
    return Status(204, None)


@router.delete("", response={204: None, 404: Problem, 409: Conflict}, auth=access("keys"))
def delete_named(request: ApiRequest, api_key: int) -> object:
    """Forget a key that is named in the query, as for the balance."""
    return delete(request, api_key)
