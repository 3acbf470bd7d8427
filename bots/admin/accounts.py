"""Users, their accounts, keys and tokens. A secret is on none of these pages."""

from typing import cast

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop, ngettext

from bots import control, setup
from bots.admin.base import NoChanges, ReadOnly, money
from bots.admin.verbs import VIA
from bots.models import Account, ApiKey, ApiToken, Balance, Comparison, Transfer, User


@admin.register(User)
class Users(UserAdmin[User]):
    """Users are deactivated, never deleted: their ledger stays."""

    list_display = ["username", "email", "is_active", "is_staff", "date_joined", "last_login"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    fieldsets = [
        *(UserAdmin.fieldsets or []),
        (_("Display"), {"fields": ["time_zone", "language", "theme"]}),
    ]
    actions = ["deactivate"]

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    @admin.action(permissions=["change"], description=_("Deactivate: their bots switch off"))
    def deactivate(self, request: HttpRequest, users: QuerySet[User]) -> None:
        count = 0
        for user in users.filter(is_active=True):
            if user == request.user:
                continue
            user.is_active = False
            user.save(update_fields=["is_active"])
            self.log_change(request, user, gettext_noop("Deactivated."))
            count += 1
        text = ngettext("%d user was deactivated.", "%d users were deactivated.", count)
        self.message_user(request, text % count, messages.SUCCESS)


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
    list_filter = ["mode", "exchange"]
    list_select_related = ["owner"]
    search_fields = ["label", "owner__username"]

    def save_model(
        self, request: HttpRequest, obj: Account, form: ModelForm[Account], change: bool
    ) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        if changes:
            control.edit_account(obj, changes, by=cast("User", request.user), via=VIA)


@admin.register(ApiKey)
class Keys(ReadOnly[ApiKey]):
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
    list_filter = ["is_valid", "account__mode", "account__exchange", "check_fault"]
    list_select_related = ["account__owner"]
    search_fields = ["account__label", "account__owner__username", "last4"]

    @admin.display(description=_("owner"), ordering="account__owner")
    def owner(self, key: ApiKey) -> str:
        return key.account.owner.get_username()

    @admin.display(description=_("last check"), ordering="checked_at")
    def last_check(self, key: ApiKey) -> str:
        return key.check_fault or str(key.checked_at or "-")


@admin.register(ApiToken)
class Tokens(ReadOnly[ApiToken]):
    hidden = ("digest",)
    list_display = ["name", "owner", "scopes", "created_at", "last_used_at", "revoked_at"]
    list_select_related = ["owner"]
    search_fields = ["name", "owner__username"]
    actions = ["revoke"]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whether this operator may take a token away; nobody may edit one."""
        return request.user.has_perm("bots.change_apitoken")

    @admin.action(permissions=["revoke"], description=_("Revoke"))
    def revoke(self, request: HttpRequest, tokens: QuerySet[ApiToken]) -> None:
        count = 0
        for token in tokens.filter(revoked_at=None):
            ApiToken.objects.filter(pk=token.pk).update(revoked_at=timezone.now())
            self.log_change(request, token, gettext_noop("Revoked."))
            count += 1
        text = ngettext("%d token was revoked.", "%d tokens were revoked.", count)
        self.message_user(request, text % count, messages.SUCCESS)


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
    list_filter = ["ok", "account__mode"]
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
    list_filter = ["status", "direction"]
    list_select_related = ["account__owner"]
    search_fields = ["account__label", "account__owner__username", "exchange_id"]

    @admin.display(description=_("owner"))
    def owner(self, transfer: Transfer) -> str:
        return transfer.account.owner.get_username()
