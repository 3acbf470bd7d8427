"""Every address of the site: the pages are in bots.urls, the API is in bots.api."""

from allauth.account.decorators import secure_admin_login
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path
from django.views.decorators.http import require_safe

from bots.api import api
from bots.views import access
from botsite.health import healthz

# One door: the admin signs in at the form that throttles.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
# Secrets and session keys have no page there.
admin.site.unregister([Authenticator, UserSession])


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Lead to the icon: pages that are not ours, as the admin's, do not name it."""
    return redirect(static("icon.svg"))


urlpatterns = [
    path("favicon.ico", favicon, name="favicon"),
    path("healthz", healthz, name="healthz"),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.account.urls")),
    # What allauth shows there stands on the profile.
    path("accounts/2fa/", access.factor, name="mfa_index"),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/v1/", api.urls),
    path("", include("bots.urls")),
]
