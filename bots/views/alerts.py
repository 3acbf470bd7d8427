"""Where alerts go, what each channel tells, quiet hours, tests, and what became of each message."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bots.alerts import addresses, channels
from bots.forms.alerts import FORMS, QuietForm
from bots.models import AlertChannel, AlertDelivery, AlertSettings
from bots.models.alert import AlertKind
from bots.views.common import Request, page_of

Service = AlertChannel.Service
#: How often a page asks what became of a message that is on its way.
SOON = 3
#: For so long; then a reader looks again.
FRESH = timedelta(minutes=3)
SHOWN = 5


def _find_or_404(request: Request, pk: int) -> AlertChannel:
    rows = request.user.alert_channels.select_related("owner")
    channel: AlertChannel = get_object_or_404(rows, pk=pk)
    return channel


def _services() -> list[tuple[str, Any]]:
    """Return the services that can be offered here: mail needs the site's mail server."""
    return [
        (service.value, service.label)
        for service in Service
        if service is not Service.MAIL or addresses.mail_is_offered()
    ]


def _log(request: Request) -> QuerySet[AlertDelivery]:
    rows = AlertDelivery.objects.filter(channel__owner=request.user)
    return rows.select_related("channel").defer("channel__secret_url").order_by("-pk")


@login_required
@require_http_methods(["GET", "POST"])
def alerts(request: Request) -> HttpResponse:
    """List the channels and the newest messages; take the quiet hours."""
    hours = AlertSettings.objects.filter(owner=request.user).first()
    hours = hours or AlertSettings(owner=request.user)
    form = QuietForm(request.POST or None, instance=hours)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Saved."))
        return redirect("alerts")
    context = {
        "channels": list(request.user.alert_channels.all()),
        "kinds": AlertKind,
        "services": _services(),
        "most": channels.MOST,
        "form": form,
        "deliveries": list(_log(request)[:SHOWN]),
        "now": timezone.now(),
    }
    status = 422 if form.errors else 200
    return render(request, "bots/alerts.html", context, status=status)


@login_required
@require_http_methods(["GET", "POST"])
def channel_new(request: Request) -> HttpResponse:
    """Add a channel; `?service=` says of which kind."""
    services = _services()
    service = request.GET.get("service", "")
    if service not in dict(services):
        service = services[0][0]
    form = FORMS[service](request.POST or None, is_new=True)
    if request.method == "POST" and form.is_valid() and form.address is not None:
        data = form.cleaned_data
        values = {"label": data["label"], "kinds": channels.wanted(data["kinds"])}
        try:
            made = channels.add(request.user, service, form.address, **values)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            if made.is_confirmed:
                text = _("Saved. Send a test to see that it works.")
            else:
                text = _("Saved. Open the link in the message that is on its way there.")
            messages.success(request, text)
            return redirect("channel", pk=made.pk)
    context = {"form": form, "service": service, "services": services}
    return render(request, "bots/channel_new.html", context, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "POST"])
def channel(request: Request, pk: int) -> HttpResponse:
    """Show a channel with its newest messages, and change it; its address stays unless given."""
    row = _find_or_404(request, pk)
    initial = {"label": row.label, "kinds": row.kinds, "is_on": row.is_on}
    form = FORMS[row.service](request.POST or None, is_new=False, initial=initial)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        kinds = channels.wanted(data["kinds"])
        values = {"label": data["label"], "kinds": kinds, "is_on": data["is_on"]}
        channels.change(row, **values, address=form.address)
        messages.success(request, _("Saved."))
        return redirect("channel", pk=pk)
    context = {"channel": row, "form": form, **_newest(row)}
    return render(request, "bots/channel.html", context, status=422 if form.errors else 200)


def _newest(row: AlertChannel) -> dict[str, Any]:
    found = list(row.deliveries.order_by("-pk")[:SHOWN])
    fresh = timezone.now() - FRESH
    waits = any(
        one.status == AlertDelivery.Status.PENDING and one.created_at > fresh for one in found
    )
    return {"deliveries": found, "poll": SOON if waits else None, "now": timezone.now()}


@login_required
@require_safe
def channel_log(request: Request, pk: int) -> HttpResponse:
    """Return the newest messages of a channel: what the page asks for while one is on its way."""
    row = _find_or_404(request, pk)
    return render(request, "bots/_deliveries.html", {"channel": row, **_newest(row)})


@login_required
@require_POST
def channel_test(request: Request, pk: int) -> HttpResponse:
    """Have a worker send a test message now."""
    if channels.test(_find_or_404(request, pk)) is None:
        messages.error(request, _("Too many tests within the hour: try again later."))
    else:
        messages.info(request, _("The message is on its way. What becomes of it stands below."))
    return redirect("channel", pk=pk)


@login_required
@require_http_methods(["GET", "POST"])
def channel_confirm(request: Request, pk: int, token: str) -> HttpResponse:
    """Take the address of a channel as its reader's own; GET asks first."""
    row = _find_or_404(request, pk)
    if request.method == "GET":
        return render(request, "bots/channel_confirm.html", {"channel": row, "token": token})
    if channels.confirm(row, token):
        messages.success(request, _("Confirmed: alerts go there from now on."))
    else:
        messages.error(request, _("This link is too old. Send a new message to the address."))
    return redirect("channel", pk=pk)


@login_required
@require_http_methods(["GET", "POST"])
def channel_delete(request: Request, pk: int) -> HttpResponse:
    """Forget a channel with its address and its messages; GET asks first."""
    row = _find_or_404(request, pk)
    if request.method == "GET":
        return render(request, "bots/channel_delete.html", {"channel": row})
    row.delete()
    messages.success(request, _("%(name)s was deleted.") % {"name": row.name})
    return redirect("alerts")


@login_required
@require_safe
def log(request: Request) -> HttpResponse:
    """List what became of each message, newest first."""
    context = {"deliveries": page_of(request, _log(request)), "now": timezone.now()}
    return render(request, "bots/alerts_log.html", context)
