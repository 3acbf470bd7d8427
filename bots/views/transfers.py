"""Funds between the wallets of an account: asked for, confirmed, and what became of them."""

from decimal import Decimal

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from bots import transfers
from bots.change import Refusal
from bots.forms.transfer import TransferForm
from bots.lifecycle import Mode
from bots.models import Account, Balance, Transfer
from bots.views import again
from bots.views.common import BUSY, Request, tell_busy

#: As many are listed on the page.
SHOWN = 20


def _account(request: Request, pk: int) -> Account:
    accounts = Account.objects.filter(owner=request.user).exclude(mode=Mode.PAPER)
    account = accounts.select_related("owner").filter(pk=pk).first()
    if account is None:
        raise Http404
    return account


@login_required
@require_http_methods(["GET", "POST"])
def transfer(request: Request, pk: int) -> HttpResponse:
    """Take what is to be moved, ask whether it is meant, and have a worker move it."""
    account = _account(request, pk)
    if request.method == "GET":
        return _page(request, account, TransferForm())
    form = TransferForm(request.POST)
    if not form.is_valid():
        return _page(request, account, form, status=422)
    if "confirmed" not in request.POST:
        return _page(request, account, form, is_asked=True)
    if account.mode == Mode.LIVE and (question := again.ask(request)):
        return question
    values = form.cleaned_data
    try:
        transfers.request(
            account,
            values["currency"],
            values["amount"],
            values["direction"],
            by=request.user,
            via="page",
            number=values["number"],
        )
    except Refusal as refusal:
        messages.error(request, refusal.message)
    except ValidationError as error:
        form.add_error(None, error)
        return _page(request, account, form, status=422)
    except BUSY as error:
        tell_busy(request, error)
    else:
        messages.success(request, _("The transfer was asked for. A worker sends it once."))
    return redirect("account-transfer", pk=account.pk)


def _page(
    request: Request,
    account: Account,
    form: TransferForm,
    *,
    is_asked: bool = False,
    status: int = 200,
) -> HttpResponse:
    rows = account.transfers.order_by("-pk")[:SHOWN]
    refusal = None if is_asked else transfers.refusal(account)
    context = {
        "account": account,
        "form": form,
        "is_asked": is_asked,
        "wanted": form.cleaned_data if is_asked else None,
        "way": Transfer.Direction(form.cleaned_data["direction"]).label if is_asked else "",
        "refusal": refusal,
        "rows": rows,
        "balance": _usdt(account),
        "now": timezone.now(),
    }
    return render(request, "bots/transfer.html", context, status=status)


def _usdt(account: Account) -> dict[str, object] | None:
    """Return what a worker last read of both wallets, in the currency that futures take."""
    row = Balance.objects.filter(account=account).exclude(as_of=None).first()
    if row is None:
        return None
    spot, futures = (Decimal(part.get("USDT", "0")) for part in (row.spot, row.futures))
    return {"spot": spot, "futures": futures, "as_of": row.as_of}


@login_required
@require_POST
def transfer_close(request: Request, pk: int) -> HttpResponse:
    """Take the owner's word on a transfer whose outcome nobody told."""
    rows = Transfer.objects.filter(account__owner=request.user)
    row = rows.filter(pk=pk).first()
    moved = request.POST.get("moved")
    if row is None:
        raise Http404
    if moved not in ("yes", "no"):
        messages.error(request, _("Say whether the funds arrived."))
        return redirect("account-transfer", pk=row.account_id)
    try:
        transfers.close(row, moved=moved == "yes", by=request.user, via="page")
    except Refusal as refusal:
        messages.error(request, refusal.message)
    except BUSY as error:
        tell_busy(request, error)
    else:
        messages.success(request, _("Saved."))
    return redirect("account-transfer", pk=row.account_id)
