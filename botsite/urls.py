"""Every address of the site: the pages are in bots.urls, the API is in bots.api."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path
from django.views.decorators.http import require_safe

from bots.api import api
from botsite.health import healthz

# One door: the admin signs in at the form that throttles.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Lead to the icon: pages that are not ours, as the admin's, do not name it."""
    return redirect(static("icon.svg"))


urlpatterns = [
    path("favicon.ico", favicon, name="favicon"),
    path("healthz", healthz, name="healthz"),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.account.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/v1/", api.urls),
    path("", include("bots.urls")),
]
