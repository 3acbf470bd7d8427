"""What is to be moved from one wallet to the other; the verb checks it."""

from uuid import uuid4

from django import forms
from django.utils.translation import gettext_lazy as _

from bots.forms.fields import NumberField
from bots.models import Transfer


class TransferForm(forms.Form):
    """`number` is another in each form that is drawn: it tells a repetition."""

    amount = NumberField(label=_("amount"), max_digits=38, decimal_places=8)
    currency = forms.CharField(label=_("currency"), max_length=20, initial="USDT")
    direction = forms.ChoiceField(label=_("direction"), choices=Transfer.Direction.choices)
    number = forms.UUIDField(initial=uuid4, widget=forms.HiddenInput)

    def clean_currency(self) -> str:
        """Return it as exchanges spell it."""
        return str(self.cleaned_data["currency"]).strip().upper()
