"""One decision: every rule in the order asked, with its numbers, and the same decided once more."""

import json

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from bots.markets import market_of
from bots.models import Decision
from bots.replaying import Signals, replay
from bots.views import words
from bots.views.common import Request, find_or_404
from bots.views.present import Shown
from bots.views.rules import rules_of, said
from trading import recording


@login_required
@require_safe
def decision(request: Request, pk: int, number: int) -> HttpResponse:
    """Show why one decision of a bot fell as it did."""
    bot = find_or_404(request.user, pk)
    row = Decision.objects.filter(bot=bot, pk=number).select_related("order").first()
    if row is None:
        raise Http404
    market, found = market_of(bot), replay(row)
    inputs = ""
    if found.view is not None:
        inputs = json.dumps(recording.pack(found.view), indent=1, ensure_ascii=False)
    context = {
        "bot": bot,
        "tab": "decisions",
        "shown": Shown(bot=bot, now=timezone.now(), market=market),
        "row": row,
        "why": words.why(row),
        # The market's steps of then, where they are kept.
        "numbers": list(words.numbers(row, found.view.rules if found.view else market)),
        "found": found,
        "rules": rules_of(found),
        "then": said(found.then),
        "now_said": said(found.now) if found.now else "",
        "is_judged": found.signals is Signals.JUDGED,
        "inputs": inputs,
    }
    return render(request, "bots/decision.html", context)
