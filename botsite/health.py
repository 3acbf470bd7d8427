"""/healthz: for load balancers, containers and the supervisor."""

from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from bots.models import Heartbeat


@never_cache
def healthz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 while the database answers, else 503.

    With it come the ages, in whole seconds, of the last signs of life: `worker` is the canary's,
    which a worker that merely exists does not give. Nothing in it is a secret.
    """
    now = timezone.now()
    try:
        beats = dict(Heartbeat.objects.values_list("name", "at"))
    except DatabaseError:
        return JsonResponse({"status": "database unreachable"}, status=503)
    ages = {name: round((now - at).total_seconds()) for name, at in sorted(beats.items())}
    return JsonResponse({"status": "ok", "age_seconds": ages})
