"""/alerts: the caller's channels, masked, and what became of their messages. Read only."""

from datetime import datetime

from ninja import Query, Router, Schema
from pydantic import Field

from bots.api.access import ApiRequest
from bots.api.pages import Page, Window, page
from bots.models import AlertChannel, AlertDelivery

router = Router()


class ChannelOut(Schema):
    id: int
    service: str = Field(description="mail, telegram, discord, slack, webhook, apprise")
    label: str
    hint: str = Field(description="the address, masked")
    kinds: list[str] = Field(description="what it tells")
    is_on: bool
    off_reason: str = Field(description="by_owner, failing, owner_inactive, or empty")
    is_confirmed: bool
    failing_since: datetime | None
    created_at: datetime


class DeliveryOut(Schema):
    id: int
    channel: int = Field(alias="channel_id")
    kind: str = Field(description="the most urgent of its alerts, or test")
    alerts: int = Field(description="how many alerts it tells")
    subject: str
    status: str = Field(description="pending, sent, failed, dropped")
    attempts: int
    fault: str = Field(description="why the newest attempt failed, or empty")
    code: int | None = Field(description="what HTTP or SMTP answered")
    created_at: datetime
    ended_at: datetime | None


@router.get("/channels", response=Page[ChannelOut])
def channels(request: ApiRequest, window: Query[Window]) -> object:
    """List your channels. Their addresses are written on the site and shown nowhere."""
    return page(AlertChannel.objects.filter(owner=request.auth.user).order_by("pk"), window)


@router.get("/messages", response=Page[DeliveryOut])
def messages(request: ApiRequest, window: Query[Window]) -> object:
    """List the messages that were sent to you, newest first, and what became of each."""
    rows = AlertDelivery.objects.filter(channel__owner=request.auth.user)
    return page(rows.order_by("-pk"), window)
