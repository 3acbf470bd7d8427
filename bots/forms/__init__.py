"""The forms of the pages. Secrets go in and never come out; foreign keys see one user's rows."""

from bots.forms.account import KeyForm, LimitsForm, ProfileForm, TokenForm
from bots.forms.bot import BotForm

__all__ = ["BotForm", "KeyForm", "LimitsForm", "ProfileForm", "TokenForm"]
