"""/accounts/{id}/transfers: funds between the wallets of an account, only when somebody asks."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Schema, Status
from pydantic import Field

from bots import transfers
from bots.api.access import ApiRequest, access
from bots.api.accounts import REFUSALS
from bots.api.bots import VIA
from bots.api.pages import Page, Window, page
from bots.api.shapes import Money, Strict, Text
from bots.lifecycle import Mode
from bots.models import Account, Transfer

router = Router()


class TransferIn(Strict):
    """`number` (a UUID of yours) makes a repetition harmless: it returns the first one's row."""

    currency: Annotated[Text, Field(max_length=20)]
    amount: Money
    direction: Transfer.Direction
    number: UUID | None = None


class TransferEnd(Strict):
    moved: bool = Field(description="whether the funds arrived, after comparing both wallets")


class TransferOut(Schema):
    id: int
    number: UUID
    account: int = Field(alias="account_id")
    currency: str
    amount: Money
    direction: str
    status: str = Field(description="requested, sent, unknown, done, failed")
    via: str
    created_at: datetime
    expires_at: datetime
    signed_at: datetime | None
    ended_at: datetime | None
    exchange_id: str
    message: str


def _account(request: ApiRequest, account_id: int) -> Account:
    accounts: QuerySet[Account] = request.auth.user.accounts.exclude(mode=Mode.PAPER)
    return get_object_or_404(accounts, pk=account_id)


@router.get("/{account_id}/transfers", response=Page[TransferOut])
def listed(request: ApiRequest, account_id: int, window: Query[Window]) -> object:
    """List an account's transfers, newest first."""
    account = _account(request, account_id)
    return page(Transfer.objects.filter(account=account).order_by("-pk"), window)


@router.post(
    "/{account_id}/transfers", response={202: TransferOut, **REFUSALS}, auth=access("keys")
)
def ask(request: ApiRequest, account_id: int, wanted: TransferIn) -> object:
    """Have a worker move funds between the spot and the futures wallet, once. Also needs `live`."""
    account = _account(request, account_id)
    request.auth.needs_for(account.mode)
    row = transfers.request(
        account,
        wanted.currency,
        wanted.amount,
        wanted.direction,
        by=request.auth.user,
        via=VIA,
        number=wanted.number,
    )
    return Status(202, row)


@router.post(
    "/{account_id}/transfers/{transfer_id}/close",
    response={200: TransferOut, **REFUSALS},
    auth=access("keys"),
)
def close(request: ApiRequest, account_id: int, transfer_id: int, end: TransferEnd) -> object:
    """Say what became of a transfer whose outcome is unknown. Nothing is sent. Needs `live`."""
    account = _account(request, account_id)
    request.auth.needs_for(account.mode)
    row = get_object_or_404(Transfer.objects.filter(account=account), pk=transfer_id)
    return transfers.close(row, moved=end.moved, by=request.auth.user, via=VIA)
