"""/bot-states/{id}: where a bot stands. There is no way to write it from here."""

from django.http import Http404
from django.shortcuts import get_object_or_404
from ninja import Router

from bots.api import schemas
from bots.api.access import ApiRequest
from bots.api.errors import Problem

router = Router()


@router.get("/{bot_id}", response={200: schemas.StateOut, 404: Problem})
def state(request: ApiRequest, bot_id: int) -> object:
    """Tell where a bot stands, and why. 404 before its first start."""
    bots = request.auth.user.bots.alive().select_related("state")
    found = get_object_or_404(bots, pk=bot_id).state_or_none
    if found is None:
        raise Http404
    return found
