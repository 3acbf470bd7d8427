"""Both languages are complete, compiled, and up to date with the sources."""

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.template.base import Lexer, TokenType
from django.utils.translation.template import (
    block_re,
    constant_re,
    endblock_re,
    inline_re,
    plural_re,
)

ROOT: Path = settings.BASE_DIR
MARKERS = {"_", "gettext", "gettext_lazy", "gettext_noop"}
PLURALS = {"ngettext", "ngettext_lazy"}
STRING = re.compile(r'^"(.*)"$')
DIRECTIVE = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w+\}")
Catalog = dict[str, list[str]]


def _catalog(language: str) -> Catalog:
    """Read a .po file: msgid -> its translations (one, or one per plural form)."""
    text = (ROOT / f"locale/{language}/LC_MESSAGES/django.po").read_text(encoding="utf-8")
    assert "#, fuzzy" not in text
    assert "#~ " not in text
    entries: Catalog = {}
    for block in text.split("\n\n")[1:]:
        parts: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            head, _space, rest = line.partition(" ")
            if head.startswith("msg"):
                key, line = head, rest
            found = STRING.match(line)
            assert found, line
            parts[key] = parts.get(key, "") + ast.literal_eval(f'"{found[1]}"')
        if parts:
            entries[parts["msgid"]] = [v for k, v in parts.items() if k.startswith("msgstr")]
    return entries


def _from_python() -> Iterator[str]:
    for folder in ("bots", "botsite", "trading"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                    continue
                if node.func.id in MARKERS | PLURALS and node.args:
                    first = node.args[0]
                    if isinstance(first, ast.Constant) and isinstance(first.value, str):
                        yield first.value


def _from_templates() -> Iterator[str]:
    for path in (ROOT / "templates").rglob("*.html"):
        block: list[str] | None = None
        for token in Lexer(path.read_text(encoding="utf-8")).tokenize():
            if token.token_type == TokenType.BLOCK:
                content = token.contents
                if block_re.match(content):
                    block = []
                elif block is not None and (plural_re.match(content) or endblock_re.match(content)):
                    # What follows {% plural %} belongs to the same entry.
                    yield "".join(block)
                    block = None
                elif found := inline_re.match(content):
                    yield found[1].strip("\"'").replace("%", "%%")
            elif block is not None:
                is_variable = token.token_type == TokenType.VAR
                block.append(f"%({token.contents})s" if is_variable else token.contents)
            elif token.token_type == TokenType.VAR:
                yield from (word[2:-1].strip("\"'") for word in constant_re.findall(token.contents))


@pytest.mark.parametrize("language", ["tr", "en"])
def test_nothing_is_left_untranslated(language: str) -> None:
    entries = _catalog(language)
    assert len(entries) > 400
    assert [msgid for msgid, texts in entries.items() if not all(texts)] == []


@pytest.mark.parametrize("language", ["tr", "en"])
def test_the_catalog_holds_each_text_of_the_sources(language: str) -> None:
    known = set(_catalog(language))
    assert sorted({*_from_python(), *_from_templates()} - known) == []


def test_translations_keep_every_placeholder() -> None:
    for msgid, texts in _catalog("tr").items():
        for text in texts:
            assert sorted(DIRECTIVE.findall(text)) == sorted(DIRECTIVE.findall(msgid)), msgid


@pytest.mark.parametrize("language", ["tr", "en"])
def test_the_compiled_catalog_is_that_of_the_text(language: str) -> None:
    with (ROOT / f"locale/{language}/LC_MESSAGES/django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for msgid, texts in _catalog(language).items():
        if len(texts) == 1:
            assert compiled.gettext(msgid) == texts[0]
        else:
            assert compiled.ngettext(msgid, msgid, 1) == texts[0]


def test_no_two_sentences_are_said_in_the_same_turkish_words() -> None:
    """A translation that was guessed from a similar text tells the reader something else."""
    said: dict[str, list[str]] = {}
    for msgid, texts in _catalog("tr").items():
        if msgid.endswith((".", "?", "!")) and texts[0]:
            said.setdefault(texts[0], []).append(msgid)
    password = ["Your password has been changed.", "Your password is now changed."]
    forgot = ["Forgot your password?", "Forgot Password?"]
    shared = sorted(sorted(msgids) for msgids in said.values() if len(msgids) > 1)
    assert shared == sorted([sorted(forgot), password])
