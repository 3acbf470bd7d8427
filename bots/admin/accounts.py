"""Users, their accounts, keys and tokens. A secret is on none of these pages."""

from typing import cast

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from bots import control, second_factor, setup
from bots.admin.acts import VIA, Act, Acting, each
from bots.admin.base import NoChanges, ReadOnly, money
from bots.admin.filters import Door, OfOwner, Watching
from bots.models import (
    AccessEvent,
    Account,
    ApiKey,
    ApiToken,
    Balance,
    Comparison,
    KeyEvent,
    Transfer,
    User,
)


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


class AccountForm(ModelForm[Account]):
    """The two limits of an account, checked by the verb's own rules."""

    class Meta:
        model = Account
        fields = list(setup.ACCOUNT_LIMITS)

    def clean(self) -> None:
        super().clean()
        values = {name: self.cleaned_data.get(name) for name in setup.ACCOUNT_LIMITS}
        setup.check_limits(Account(**values))


@admin.register(Account)
class Accounts(NoChanges[Account]):
    """Only an account's limits are changed here; what it stands for is its history's."""

    form = AccountForm
    list_display = [
        "label",
        "owner",
        "exchange",
        "mode",
        "max_open_positions",
        money(Account, "max_daily_loss"),
        "created_at",
    ]
    fields = ["owner", "exchange", "mode", "label", *setup.ACCOUNT_LIMITS, "created_at"]
    readonly_fields = ["owner", "exchange", "mode", "label", "created_at"]
    list_filter = ["mode", "exchange", OfOwner]
    list_select_related = ["owner"]
    search_fields = ["label", "owner__username"]

    def save_model(
        self, request: HttpRequest, obj: Account, form: ModelForm[Account], change: bool
    ) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        if changes:
            control.edit_account(obj, changes, by=cast("User", request.user), via=VIA)


def _check(key: ApiKey, _by: User, _why: str) -> bool:
    control.check_key(key)
    return True


def _will_check(_key: ApiKey) -> str:
    return gettext("A worker asks the exchange what this key may do.")


def _revoke(token: ApiToken, _by: User, _why: str) -> bool:
    living = ApiToken.objects.filter(pk=token.pk, revoked_at=None)
    return bool(living.update(revoked_at=timezone.now()))


def _will_revoke(token: ApiToken) -> str:
    if token.revoked_at is not None:
        return gettext("Is revoked already.")
    return gettext("Whoever uses it is refused from now on.")


KEY_ACTS = (
    Act(
        name="check_key",
        title=_("Check the key now"),
        done=gettext_noop("A check of the key was asked for."),
        run=_check,
        foresee=each(_will_check),
    ),
)
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


@admin.register(ApiKey)
class Keys(Acting, ReadOnly[ApiKey]):
    acts = KEY_ACTS
    list_display = [
        "account",
        "owner",
        "last4",
        "is_valid",
        "may_trade_futures",
        "may_withdraw",
        "ip_bound",
        "last_check",
    ]
    list_filter = [Watching, "is_valid", "account__mode", "account__exchange", "check_fault"]
    list_select_related = ["account__owner"]
    search_fields = ["account__label", "account__owner__username", "last4"]

    @admin.display(description=_("owner"), ordering="account__owner")
    def owner(self, key: ApiKey) -> str:
        return key.account.owner.get_username()

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this operator may have a key checked; nobody may read or edit one."""
        return request.user.has_perm("bots.change_apikey")

    @admin.display(description=_("last check"), ordering="checked_at")
    def last_check(self, key: ApiKey) -> str:
        return key.check_fault or str(key.checked_at or "-")


@admin.register(KeyEvent)
class KeyEvents(ReadOnly[KeyEvent]):
    list_display = ["at", "account", "what", "last4", "by", "via"]
    list_filter = ["what", "account__mode", Door]
    list_select_related = ["account", "by"]
    search_fields = ["account__label", "account__owner__username", "last4"]


@admin.register(AccessEvent)
class AccessEvents(ReadOnly[AccessEvent]):
    list_display = ["at", "owner", "what", "details", "ip", "by", "via"]
    list_filter = ["what", Door]
    list_select_related = ["owner", "by"]
    search_fields = ["owner__username", "ip"]


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


@admin.register(Balance)
class Balances(ReadOnly[Balance]):
    list_display = ["account", "owner", "as_of", "message"]
    list_select_related = ["account__owner"]
    search_fields = ["account__label", "account__owner__username"]

    @admin.display(description=_("owner"))
    def owner(self, balance: Balance) -> str:
        return balance.account.owner.get_username()


@admin.register(Comparison)
class Comparisons(ReadOnly[Comparison]):
    list_display = [
        "account",
        "owner",
        "symbol",
        "ok",
        money(Comparison, "ours"),
        money(Comparison, "there"),
        "as_of",
    ]
    list_filter = [Watching, "ok", "account__mode"]
    list_select_related = ["account__owner"]
    search_fields = ["symbol", "text", "account__label", "account__owner__username"]

    @admin.display(description=_("owner"))
    def owner(self, comparison: Comparison) -> str:
        return comparison.account.owner.get_username()


@admin.register(Transfer)
class Transfers(ReadOnly[Transfer]):
    list_display = [
        "created_at",
        "account",
        "owner",
        money(Transfer, "amount"),
        "currency",
        "direction",
        "status",
        "via",
    ]
    list_filter = [Watching, "status", "direction"]
    list_select_related = ["account__owner"]
    search_fields = ["account__label", "account__owner__username", "exchange_id"]

    @admin.display(description=_("owner"))
    def owner(self, transfer: Transfer) -> str:
        return transfer.account.owner.get_username()
