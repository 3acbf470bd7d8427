"""No label, message or text of a page is left without a Turkish translation."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.template.base import Lexer, TokenType
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import translation
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import trans_real
from django.utils.translation.template import block_re, endblock_re

from bots.forms import BotForm, KeyForm, ProfileForm, TokenForm
from bots.models import ApiToken, BotConfig, BotState, User
from botsite import wording
from tests.pages.builders import bot_of, sign_in, state_of

ROOT: Path = settings.BASE_DIR
#: Names, not words: they are the same in every language.
NAMES = {"ID", "Türkçe", "English", *(t for t, _ in BotConfig._meta.get_field("timeframe").choices)}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]")
TEXTS = {"aria-label", "placeholder", "title", "alt", "data-text"}
OWN_ADMINS = {m: a for m, a in admin.site._registry.items() if "bots.admin" in type(a).__module__}


def _turkish() -> set[str]:
    """Every text that the Turkish catalogs (ours, Django's, allauth's) can put out."""
    found = {str(text) for _msgid, text in trans_real.translation("tr")._catalog.items()}
    return {*found, *(capfirst(text) for text in found)}


def _labels_of(model: Any) -> Iterator[tuple[str, object]]:
    meta = model._meta
    yield f"{meta.label}.verbose_name", meta.verbose_name
    yield f"{meta.label}.verbose_name_plural", meta.verbose_name_plural
    for field in meta.concrete_fields:
        where = f"{meta.label}.{field.name}"
        yield where, field.verbose_name
        yield f"{where}.help_text", field.help_text
        for value, label in field.choices or []:
            yield f"{where}={value}", label


def _unknown(labels: Iterator[tuple[str, object]]) -> list[tuple[str, str]]:
    """Return the labels that are no Turkish although Turkish is active."""
    with translation.override("tr"):
        known = _turkish()
        return [(w, str(s)) for w, s in labels if str(s) not in {*known, *NAMES, ""}]


@pytest.mark.parametrize(
    "model", list(apps.get_app_config("bots").get_models()), ids=lambda m: m.__name__
)
def test_each_model_and_field_has_a_label_that_is_translated_when_it_is_read(model: Any) -> None:
    assert _unknown(_labels_of(model)) == []
    plain = [w for w, text in _labels_of(model) if not isinstance(text, Promise)]
    plain = [w for w in plain if not w.endswith((".id", ".help_text")) and "=" not in w]
    assert plain == []


def test_each_field_of_each_form_is_labelled_in_turkish(alice: User) -> None:
    with translation.override("tr"):
        forms = [BotForm(owner=alice), KeyForm(), TokenForm(), ProfileForm(instance=alice)]
    fields = [
        (f"{type(form).__name__}.{name}", field)
        for form in forms
        for name, field in form.fields.items()
        if not field.widget.is_hidden
    ]
    labels = [(name, field.label) for name, field in fields]
    helps = [(f"{name} help", field.help_text) for name, field in fields]
    empty = [(f"{name} empty", getattr(field, "empty_label", "") or "") for name, field in fields]
    assert _unknown(iter([*labels, *helps, *empty])) == []
    assert len(labels) > 25


def _columns(model: Any, door: Any) -> Iterator[tuple[str, object]]:
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True)
    for column in [*door.list_display, *door.get_readonly_fields(request)]:
        yield f"{door} {column}", label_for_field(column, model, door)
    for name in door.actions:
        yield f"{door} {name}", door.get_actions(request)[name][2]
    for heading, _fields in door.fieldsets or []:
        yield f"{door} {heading}", heading or ""


@pytest.mark.parametrize("model", list(OWN_ADMINS), ids=lambda m: m.__name__)
def test_each_column_and_action_of_the_admin_is_turkish(model: Any) -> None:
    with translation.override("tr"):
        columns = list(_columns(model, OWN_ADMINS[model]))
    assert _unknown(iter(columns)) == []


@cache
def _shapes() -> list[re.Pattern[str]]:
    """Every Turkish text of the catalog, with anything where it has a placeholder."""
    return [
        re.compile(".+".join(re.escape(part) for part in PLACEHOLDER.split(known)))
        for known in _turkish()
        if len(PLACEHOLDER.sub("", known)) > 2
    ]


def _is_turkish(text: str) -> bool:
    return any(shape.fullmatch(text) for shape in _shapes())


def test_what_an_action_of_the_admin_answers_is_turkish(alice: User, client: Client) -> None:
    operator = User.objects.create_superuser("olga", language="tr")
    sign_in(client, operator)
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    ApiToken.issue(alice, "script")
    chosen = {BotState: bot.pk, BotConfig: bot.pk, User: alice.pk}
    chosen[ApiToken] = ApiToken.objects.get().pk
    said: set[str] = set()
    for model, pk in chosen.items():
        address = reverse(f"admin:bots_{model._meta.model_name}_changelist")
        for act in OWN_ADMINS[model].acts:
            for more in ({}, {"confirmed": "1", "why": "-"}):
                asked = {"action": act.name, "_selected_action": [pk], **more}
                answer = client.post(address, asked)
                assert answer.status_code == 200, act.name
                said |= {str(line.text) for line in answer.context["lines"]}
                said.add(str(answer.context["title"]))
    with translation.override("tr"):
        assert [text for text in said if not _is_turkish(text)] == []
        assert not _is_turkish("Done: 1 of 1.")
    assert len(said) > 10
    log = client.get(reverse("admin:admin_logentry_changelist")).content.decode()
    assert "Başlatıldı." in log
    assert "Started." not in log


class _Words(HTMLParser):
    """Collects what a person reads of a template: text, and the attributes that are read aloud."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [value or "" for name, value in attrs if name in TEXTS]

    def handle_data(self, data: str) -> None:
        # What is in <pre> is for machines: an example to copy.
        if self.tags[-1:] not in (["script"], ["style"], ["pre"]):
            self.found.append(data)


def _unmarked(source: str) -> list[str]:
    """Return the words of a template that stand outside of every translate tag."""
    kept, is_marked = [], False
    for token in Lexer(source).tokenize():
        if token.token_type == TokenType.BLOCK and block_re.match(token.contents):
            is_marked = True
        elif token.token_type == TokenType.BLOCK and endblock_re.match(token.contents):
            is_marked = False
        elif token.token_type == TokenType.TEXT and not is_marked:
            kept.append(token.contents)
    parser = _Words()
    parser.feed("".join(kept))
    text = re.sub(r"&\w+;", "", " ".join(parser.found))
    return [word for word in re.findall(r"[^\W\d_]{2,}", text) if word != "Botsite"]


def test_no_template_has_words_outside_of_the_translate_tags() -> None:
    assert _unmarked('<p title="Hint">{% translate "a" %} Hello {{ x }}</p>') == ["Hint", "Hello"]
    for path in (ROOT / "templates").rglob("*.html"):
        assert _unmarked(path.read_text(encoding="utf-8")) == [], path.name


SPEAKERS = {"success", "error", "info", "warning", "message_user", "add_error", "ValidationError"}
SPEAKING = ["bots/views", "bots/forms", "bots/admin", "bots/models", "bots/setup.py"]


def _files(*names: str) -> Iterator[tuple[Path, ast.Module]]:
    for name in names:
        for path in sorted((ROOT / name).rglob("*.py")) or [ROOT / name]:
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def _literals(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for part in node.values:
            yield from _literals(part)


def test_no_message_is_an_unmarked_literal() -> None:
    wrong = []
    for path, tree in _files(*SPEAKING):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if (
                name not in SPEAKERS
                or getattr(getattr(node.func, "value", None), "id", "") == "log"
            ):
                continue
            # The first argument of add_error is the name of a field.
            spoken = node.args[1:] if name == "add_error" else node.args
            texts = [text for argument in spoken for text in _literals(argument)]
            wrong += [f"{path.name}: {t}" for t in texts if re.search(r"[A-Za-z]{2}", t)]
    assert wrong == []


def test_the_functions_that_mark_a_text_keep_the_names_that_makemessages_knows() -> None:
    wrong = [
        f"{path.name}: {alias.name} as {alias.asname}"
        for path, tree in _files("bots", "botsite", "trading")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
        if alias.asname not in (None, "_")
    ]
    assert wrong == []


def test_a_password_has_one_name_on_the_whole_site(alice: User, client: Client) -> None:
    User.objects.filter(pk=alice.pk).update(language="tr")
    pages = ["login", "signup", "password/reset", "password/change", "reauthenticate"]
    client.cookies["django_language"] = "tr"
    found = [client.get(f"/accounts/{page}/") for page in pages[:3]]
    sign_in(client, alice)
    found += [client.get(f"/accounts/{page}/") for page in pages[3:]]
    for answer in found:
        assert answer.status_code == 200
        text = answer.content.decode().lower()
        assert "parola" in text
        assert not re.search(r"şifre(?!li)", text), answer.request["PATH_INFO"]
    with translation.override("tr"):
        texts = [translation.gettext(text).lower() for text in wording.ALLAUTH]
    assert [text for text in texts if "şifre" in text] == []


def test_no_text_shows_the_marks_of_source_code() -> None:
    ours = (ROOT / "locale/tr/LC_MESSAGES/django.po").read_text(encoding="utf-8")
    assert "`" not in ours
