"""Accounts, their keys, and what was found of them. A secret is on none of these pages."""

from typing import cast

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from bots import control, setup
from bots.admin.acts import VIA, Act, Acting, each
from bots.admin.base import NoChanges, OfAccounts, ReadOnly, money
from bots.admin.filters import Door, OfOwner, Watching
from bots.models import (
    Account,
    ApiKey,
    Balance,
    Comparison,
    KeyEvent,
    Transfer,
    User,
)


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


KEY_ACTS = (
    Act(
        name="check_key",
        title=_("Check the key now"),
        done=gettext_noop("A check of the key was asked for."),
        run=_check,
        foresee=each(_will_check),
    ),
)


@admin.register(ApiKey)
class Keys(Acting, OfAccounts[ApiKey]):
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
    search_fields = ["account__label", "account__owner__username", "last4"]

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


@admin.register(Balance)
class Balances(OfAccounts[Balance]):
    list_display = ["account", "owner", "as_of", "message"]
    search_fields = ["account__label", "account__owner__username"]


@admin.register(Comparison)
class Comparisons(OfAccounts[Comparison]):
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
    search_fields = ["symbol", "text", "account__label", "account__owner__username"]


@admin.register(Transfer)
class Transfers(OfAccounts[Transfer]):
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
    search_fields = ["account__label", "account__owner__username", "exchange_id"]
