"""From what people know (a mail address, a token, a link) to the address that apprise takes.

Each function returns the secret address and how its owner may recognise it; ValidationError says
what is wrong, and never repeats what was typed.
"""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from bots.alerts import policy

#: Mail that goes through the site's own server; what follows is the receiver.
SITE_MAIL = "site-mail:"
#: What apprise takes for one receiver and no other: quotes and commas would make a list of it.
MAIL = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+")
TOKEN = re.compile(r"[0-9]{5,12}:[A-Za-z0-9_-]{30,60}")
CHAT = re.compile(r"-?[0-9]{1,20}|@[A-Za-z][A-Za-z0-9_]{3,31}")
DISCORD = re.compile(
    r"https://(?:\w+\.)?discord(?:app)?\.com/api/webhooks/([0-9]{10,25})/([A-Za-z0-9_-]{30,120})/?"
)
SLACK = re.compile(r"https://hooks\.slack\.com/services/(T\w{5,20})/(B\w{5,20})/(\w{10,40})/?")


class Address(NamedTuple):
    """`url`: the secret; `hint`: what may be shown of it."""

    url: str
    hint: str


def mail(receiver: str) -> Address:
    """Return a mail address that the site's own server sends to."""
    validate_email(receiver)
    if not MAIL.fullmatch(receiver):
        raise ValidationError({"receiver": _("Enter a plain mail address, as in ann@example.org.")})
    name, _at, domain = receiver.rpartition("@")
    return Address(f"{SITE_MAIL}{receiver}", f"{name[:1]}…@{domain}"[:80])


def telegram(token: str, chat: str) -> Address:
    """Return the chat (a number or @name) that a Telegram bot's token writes to."""
    if not TOKEN.fullmatch(token):
        raise ValidationError({"token": _("This is no token of a Telegram bot.")})
    if not CHAT.fullmatch(chat):
        raise ValidationError({"chat": _("Enter the number of the chat, or @name of a channel.")})
    return Address(f"tgram://{token}/{chat}", f"Telegram …{chat[-3:]}")


def discord(link: str) -> Address:
    """Return a Discord webhook."""
    found = DISCORD.fullmatch(link)
    if not found:
        raise ValidationError({"link": _("This is no webhook of Discord.")})
    return Address(f"discord://{found[1]}/{found[2]}", f"Discord …{found[2][-4:]}")


def slack(link: str) -> Address:
    """Return a Slack incoming webhook."""
    found = SLACK.fullmatch(link)
    if not found:
        raise ValidationError({"link": _("This is no incoming webhook of Slack.")})
    return Address("slack://" + "/".join(found.groups()), f"Slack …{found[3][-4:]}")


def webhook(link: str) -> Address:
    """Return an https address that takes JSON by POST; http only where private ones are allowed."""
    try:
        parts = urlsplit(link)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise ValidationError({"link": _("This is no web address.")}) from None
    schemes = {"https": "jsons"} | ({"http": "json"} if settings.ALERTS_ALLOW_PRIVATE else {})
    if parts.scheme not in schemes:
        raise ValidationError({"link": _("The address has to begin with https://")})
    names = [f"-{name}" for name, _value in parse_qsl(parts.query, keep_blank_values=True)]
    if not host or parts.fragment or len(set(names)) < len(names):
        raise ValidationError({"link": _("This is no web address that can be used.")})
    values = [value for _name, value in parse_qsl(parts.query, keep_blank_values=True)]
    query = urlencode(list(zip(names, values, strict=True)), quote_via=quote)
    url = f"{schemes[parts.scheme]}://{parts.netloc}{parts.path}{'?' if query else ''}{query}"
    _check(url, "link")
    return Address(url, f"{parts.scheme}://{host}/…{_tail(parts.path)}"[:80])


def apprise(url: str) -> Address:
    """Return an apprise address of one of the kinds that are taken."""
    scheme = _check(url, "link")
    return Address(url, f"{scheme}://…{_tail(urlsplit(url).path)}")


def _tail(path: str) -> str:
    """Return the end of a path where what is left of it is still long enough to be a secret."""
    return path[-4:] if len(path) >= 20 else ""


def _check(url: str, field: str) -> str:
    try:
        return policy.check(url, allow_private=settings.ALERTS_ALLOW_PRIVATE)
    except policy.Unfit as error:
        texts = {
            "scheme": _("Addresses of this kind are not taken."),
            "option": _("The address has an option that is not taken: %(name)s"),
            "private": _("Addresses in private networks are refused."),
        }
        text = texts.get(error.code, _("This address cannot be read."))
        raise ValidationError({field: text % {"name": error.detail}}) from None


def mail_is_offered() -> bool:
    """Whether the operator has set up a mail server for the site."""
    return bool(settings.EMAIL_BACKEND == "django.core.mail.backends.smtp.EmailBackend")
