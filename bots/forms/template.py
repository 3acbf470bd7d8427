"""The forms about templates and files of settings."""

from django import forms
from django.utils.translation import gettext_lazy as _

from bots.portable import MOST_BYTES

#: A form's own text, beside a file, may be a quarter of a file.
MOST_PASTED = 200_000


class NameForm(forms.Form):
    """The name of a template."""

    name = forms.CharField(
        label=_("name"), max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )


class ImportForm(forms.Form):
    """A file of settings, or its text."""

    file = forms.FileField(
        label=_("File"),
        required=False,
        allow_empty_file=True,
        help_text=_("A file that was saved here or at another Botsite."),
        widget=forms.FileInput(attrs={"accept": ".json,application/json"}),
    )
    text = forms.CharField(
        label=_("or its text"),
        required=False,
        max_length=MOST_PASTED,
        widget=forms.Textarea(
            attrs={"rows": 6, "autocomplete": "off", "spellcheck": "false"},
        ),
    )

    def raw(self) -> bytes:
        """Return what was sent, of a file no more than is needed to see that it is too large."""
        sent = self.cleaned_data.get("file")
        if sent is not None:
            content: bytes = sent.read(MOST_BYTES + 1)
            return content
        return str(self.cleaned_data.get("text") or "").encode(errors="replace")
