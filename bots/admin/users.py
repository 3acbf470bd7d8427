"""Users, what let them in, and the tokens that act for them. A secret is on none of these pages."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from bots import control, second_factor
from bots.admin.acts import VIA, Act, Acting, each
from bots.admin.base import ReadOnly
from bots.admin.filters import Door
from bots.models import AccessEvent, ApiToken, User


def _deactivate(user: User, by: User, _why: str) -> bool:
    if user == by:
        raise control.Refusal("oneself", gettext("Nobody deactivates themselves."))
    if not user.is_active:
        return False
    user.is_active = False
    user.save(update_fields=["is_active"])
    return True


def _will_deactivate(user: User) -> str:
    if not user.is_active:
        return gettext("Is deactivated already.")
    return gettext("Cannot sign in any more; the next ticks switch the bots off, exits go on.")


def _halt(user: User, by: User, why: str) -> bool:
    return control.halt(user, flatten=False, by=by, via=VIA, why=why) > 0


def _will_halt(_user: User) -> str:
    return gettext("All bots of this user stop at once; open positions stay, unwatched.")


def _switch_off(user: User, by: User, why: str) -> bool:
    if user == by:
        text = gettext("Your own is switched off on your profile, where you are asked again.")
        raise control.Refusal("oneself", text)
    return second_factor.switch_off(user, by=by, via=VIA, why=why)


def _will_switch_off(user: User) -> str:
    if not second_factor.is_on(user):
        return gettext("Has no second factor.")
    return gettext("Signs in with the password alone, until a new one is switched on.")


USER_ACTS = (
    Act(
        name="deactivate",
        title=_("Deactivate: their bots switch off"),
        done=gettext_noop("Deactivated."),
        run=_deactivate,
        foresee=each(_will_deactivate),
        permission="change",
    ),
    Act(
        name="halt",
        title=_("Halt all their bots"),
        done=gettext_noop("Halted."),
        run=_halt,
        foresee=each(_will_halt),
        permission="operate",
    ),
    Act(
        name="switch_off_second_factor",
        title=_("Switch off a lost second factor"),
        done=gettext_noop("The second factor was switched off."),
        run=_switch_off,
        foresee=each(_will_switch_off),
        permission="change",
    ),
)


@admin.register(User)
class Users(Acting, UserAdmin[User]):
    """Users are deactivated, never deleted: their ledger stays."""

    list_display = [
        "username",
        "email",
        "is_active",
        "is_staff",
        "date_joined",
        "last_login",
        "bots",
    ]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    fieldsets = [
        *(UserAdmin.fieldsets or []),
        (_("Display"), {"fields": ["time_zone", "language", "theme"]}),
    ]
    acts = USER_ACTS

    @admin.display(description=_("bots"))
    def bots(self, user: User) -> str:
        """Lead to the bots of this user."""
        address = f"{reverse('admin:bots_botconfig_changelist')}?owner={user.pk}"
        return format_html('<a href="{}">{}</a>', address, _("Bots"))

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this operator may act on bots."""
        return request.user.has_perm("bots.change_botconfig")

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False


@admin.register(AccessEvent)
class AccessEvents(ReadOnly[AccessEvent]):
    list_display = ["at", "owner", "what", "details", "ip", "by", "via"]
    list_filter = ["what", Door]
    list_select_related = ["owner", "by"]
    search_fields = ["owner__username", "ip"]


def _revoke(token: ApiToken, _by: User, _why: str) -> bool:
    living = ApiToken.objects.filter(pk=token.pk, revoked_at=None)
    return bool(living.update(revoked_at=timezone.now()))


def _will_revoke(token: ApiToken) -> str:
    if token.revoked_at is not None:
        return gettext("Is revoked already.")
    return gettext("Whoever uses it is refused from now on.")


TOKEN_ACTS = (
    Act(
        name="revoke",
        title=_("Revoke"),
        done=gettext_noop("Revoked."),
        run=_revoke,
        foresee=each(_will_revoke),
        permission="revoke",
    ),
)


@admin.register(ApiToken)
class Tokens(Acting, ReadOnly[ApiToken]):
    hidden = ("digest",)
    list_display = ["name", "owner", "scopes", "created_at", "last_used_at", "revoked_at"]
    list_select_related = ["owner"]
    search_fields = ["name", "owner__username"]
    acts = TOKEN_ACTS

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whether this operator may take a token away; nobody may edit one."""
        return request.user.has_perm("bots.change_apitoken")
