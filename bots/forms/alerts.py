"""Forms of the alerts: one for each service, asking for what people have at hand.

Addresses are secrets: none of these fields is ever rendered with what it was given.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from bots.alerts import addresses
from bots.alerts.addresses import Address
from bots.forms.fields import UNSEEN
from bots.models import AlertChannel, AlertSettings
from bots.models.alert import USUAL, AlertKind

Service = AlertChannel.Service


class UnseenMail(forms.EmailInput):
    """Takes a mail address and, as with every other, never shows it again."""

    def format_value(self, value: Any) -> str:
        return ""


def _secret(label: Any, help_text: Any = "") -> forms.CharField:
    widget = forms.PasswordInput(
        render_value=False, attrs={"autocomplete": "new-password", "spellcheck": "false"}
    )
    return forms.CharField(label=label, help_text=help_text, max_length=900, widget=widget)


class ChannelForm(forms.Form):
    """What every channel has. `is_new`: an address has to be given; else it may stay as it is."""

    #: The fields that make the address, in the order in which `build` takes them.
    parts: ClassVar[tuple[str, ...]]
    build: ClassVar[Callable[..., Address]]

    label = forms.CharField(
        label=_("name"),
        max_length=40,
        required=False,
        help_text=_("What you call it, if you like."),
    )
    kinds = forms.MultipleChoiceField(
        label=_("tell me when"),
        choices=AlertKind.choices,
        initial=USUAL,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    is_on = forms.BooleanField(label=_("Switched on"), required=False)

    def __init__(self, *args: Any, is_new: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.address: Address | None = None
        self.order_fields(["label", *self.parts, "kinds", "is_on"])
        if is_new:
            del self.fields["is_on"]
        else:
            for name in self.parts:
                self.fields[name].required = False
            if self.parts:
                self.fields[self.parts[0]].help_text = _("Leave it empty to keep the address.")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        given = [data.get(name, "") for name in self.parts]
        missing = [name for name, part in zip(self.parts, given, strict=True) if not part]
        if self.errors or not any(given):
            return data
        for name in missing:
            self.add_error(name, _("This belongs to the new address."))
        if not missing:
            self.address = self.build(*given)
        return data


class MailForm(ChannelForm):
    parts = ("receiver",)
    build = staticmethod(addresses.mail)
    receiver = forms.EmailField(
        label=_("mail address"),
        max_length=200,
        help_text=_("A message goes there first, with a link to confirm it."),
        widget=UnseenMail(attrs={"autocomplete": "off", **UNSEEN}),
    )


class TelegramForm(ChannelForm):
    parts = ("token", "chat")
    build = staticmethod(addresses.telegram)
    token = _secret(
        _("token of your bot"), _("Make a bot with @BotFather; it gives you the token.")
    )
    chat = _secret(
        _("chat"),
        _("The number of the chat, or @name of a channel. Write to your bot first."),
    )


class DiscordForm(ChannelForm):
    parts = ("link",)
    build = staticmethod(addresses.discord)
    link = _secret(
        _("webhook"), _("In the channel's settings: Integrations, Webhooks, copy the address.")
    )


class SlackForm(ChannelForm):
    parts = ("link",)
    build = staticmethod(addresses.slack)
    link = _secret(_("webhook"), _("Of an app with incoming webhooks: https://hooks.slack.com/…"))


class WebhookForm(ChannelForm):
    parts = ("link",)
    build = staticmethod(addresses.webhook)
    link = _secret(
        _("address"),
        _("https://…; it gets JSON by POST. Private networks are refused."),
    )


class AppriseForm(ChannelForm):
    parts = ("link",)
    build = staticmethod(addresses.apprise)
    link = _secret(
        _("apprise address"),
        _("mailto://, mailtos://, tgram://, discord://, slack:// or jsons://"),
    )


FORMS: dict[str, type[ChannelForm]] = {
    Service.MAIL: MailForm,
    Service.TELEGRAM: TelegramForm,
    Service.DISCORD: DiscordForm,
    Service.SLACK: SlackForm,
    Service.WEBHOOK: WebhookForm,
    Service.APPRISE: AppriseForm,
}


class QuietForm(forms.ModelForm[AlertSettings]):
    """When not to disturb."""

    class Meta:
        model = AlertSettings
        fields = ["quiet_from", "quiet_to", "urgent_passes"]
        widgets = {
            "quiet_from": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
            "quiet_to": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        }

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors and (data["quiet_from"] is None) != (data["quiet_to"] is None):
            raise ValidationError(_("Quiet hours need a beginning and an end, or neither."))
        return data
