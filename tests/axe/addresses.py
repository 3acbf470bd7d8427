"""Every page of the site, found in the table of addresses: a new page is audited unasked.

An address is tried for each kind of viewer. What answers with a whole HTML document is a page;
what takes no GET, or answers with a file or a fragment of a page, is none. Anything else needs a
word in `ELSEWHERE`, `VALUES` or in scenes.py.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

#: Drawn by other packages (of the admin scenes.py names the main pages); static files.
FOREIGN = ("admin/", "api/v1/", "static/")
#: Pages that show nothing to anybody as the site is set up, and why.
ELSEWHERE = {
    "favicon": "leads to the icon",
    "set_language": "takes a language and leads back",
    "mfa_index": "leads to the profile",
    "mfa_authenticate": "in the middle of a sign-in: scenes.py leads there",
    "account_confirm_login_code": "sign-in by code is off",
    "account_set_password": "for accounts without a password: leads to changing it",
}


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a page is, and for whom: "stranger", "trader", "newcomer" or "operator";
    "halfway" has shown the password and not the code.

    Where `press` names a button, the page that it leads to is meant: with every box ticked if
    `ticked`, and with `file` as the content of the form's file.
    """

    path: str
    viewer: str
    press: str = ""
    ticked: bool = False
    file: bytes = b""


def patterns(resolver: Any = None, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each address that is ours with its name."""
    for entry in (resolver or get_resolver()).url_patterns:
        path = prefix + str(entry.pattern)
        if path.startswith(FOREIGN):
            continue
        if isinstance(entry, URLResolver):
            yield from patterns(entry, path)
        elif isinstance(entry, URLPattern):
            yield path, entry.name or ""


def filled(pattern: str, name: str, values: Mapping[str, Mapping[str, object]]) -> str:
    """Return the address with a value for each of its parameters; KeyError where none is known.

    `values` gives them by the address's name, or for all of a folder ("bots/").
    """
    if pattern.count("(?P<"):
        pattern = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", pattern).replace("^", "")
    parameters = re.findall(r"<(?:\w+:)?(\w+)>", pattern)
    known = values.get(name) or values.get(pattern.split("/")[0] + "/") or {}
    for parameter in parameters:
        pattern = re.sub(rf"<(?:\w+:)?{parameter}>", str(known[parameter]), pattern)
    return "/" + pattern.rstrip("$")


def pages(
    clients: Mapping[str, Client], values: Mapping[str, Mapping[str, object]]
) -> tuple[list[Address], list[str]]:
    """Return all pages, each for the first viewer that gets it, and what nobody can place."""
    found, lost = [], []
    for pattern, name in patterns():
        try:
            path = filled(pattern, name, values)
        except KeyError as error:
            lost.append(f"{name} ({pattern}): no value for {error}; give it one in scenes.py")
            continue
        answers = {viewer: client.get(path) for viewer, client in clients.items()}
        viewer = next((v for v, answer in answers.items() if is_document(answer)), None)
        if viewer:
            found.append(Address(path=path, viewer=viewer))
        elif not any(is_part(answer) for answer in answers.values()) and name not in ELSEWHERE:
            codes = {viewer: answer.status_code for viewer, answer in answers.items()}
            lost.append(f"{name} ({path}): a page to nobody: {codes}; say why in ELSEWHERE")
    return found, lost


def is_document(answer: Any) -> bool:
    """Whether the answer is a page that stands alone."""
    body = answer.getvalue() if answer.streaming else answer.content
    return bool(answer.status_code == 200 and b"<!doctype html" in body[:200].lower())


def is_part(answer: Any) -> bool:
    """Whether the answer is no page: a verb not taken, a file, a fragment, an empty poll."""
    return answer.status_code in (200, 204, 405) and not is_document(answer)
