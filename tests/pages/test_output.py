"""What leaves the house: escaped, without inline code, in the reader's language and zone."""

import gzip
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import translation

from bots import control
from bots.lifecycle import FATAL, LIMITS, TRANSIENT, Reason, Status
from bots.messages import EXPLANATIONS, explain
from bots.models import ApiToken, BotConfig, BotState, DayStats, User
from bots.sentences import duration, sentence
from bots.templatetags import show
from tests.pages.builders import (
    HOSTILE,
    bot_of,
    decision,
    filled,
    holding,
    market,
    sign_in,
    state_of,
    text_of,
)

INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")", re.I)
INLINE_STYLE = re.compile(r"\sstyle\s*=|<style", re.I)
HANDLER = re.compile(r"<[^>]*\son[a-z]+\s*=", re.I)
PUBLIC = ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/help/")
LABELS = {
    Status.PENDING: "Başlatılıyor",
    Status.RUNNING: "Çalışıyor",
    Status.WAITING: "Bekliyor",
    Status.PAUSED: "Duraklatıldı",
    Status.ERROR: "Hata",
    Status.STOPPED: "Durdurulmuş",
}


def _fill(owner: User) -> BotConfig:
    """One bot whose every text came from somebody hostile."""
    market()
    bot = bot_of(owner, HOSTILE[:80])
    columns: dict[str, Any] = {"last_error_message": HOSTILE, "daily_pnl": Decimal("1234.5")}
    state_of(bot, "waiting", "network", "trade", **holding(**columns))
    decision(bot, HOSTILE[:40], action="blocked", numbers={HOSTILE: HOSTILE}, message=HOSTILE)
    DayStats.objects.create(bot=bot, day=datetime.now(UTC).date(), pnl=Decimal(-1))
    filled(bot, "buy", "1", "100")
    filled(bot, "sell", "1", "110", reason=HOSTILE[:32])
    key = {"exchange": "binance", "mode": "testnet", "label": HOSTILE[:60]}
    control.put_key(owner, via="page", **key, api_key="<b>1234567890", secret_key="<b>1234567890")
    ApiToken.issue(owner, HOSTILE[:60])
    return bot


def _pages(client: Client, bot: BotConfig) -> dict[str, str]:
    own = ("", "decisions/", "orders/", "fills/", "events/", "days/", "settings/", "performance/")
    asks = ("stop/", "enter/", "exit/", "delete/")
    paths = [f"/bots/{bot.pk}/{tail}" for tail in own + asks]
    paths += [f"/bots/{bot.pk}/panel/?v=0", "/board/", "/", "/?q=%22%3E%3Cb%3E", "/bots/new/"]
    paths += ["/bots/new/?preset=bold", "/keys/", "/profile/", "/help/", "/halt/", "/status/"]
    paths += [
        "/markets/",
        "/markets/suggest/?exchange=simulated&mode=paper&symbol=",
        "/bots/check/?symbol=%3Cb%3E",
    ]
    paths += ["/performance/", "/performance/?period=7&by=week", "/performance/fills/"]
    paths += [f"/bots/{bot.pk}/fills/?reason=%3Cb%3E&from=2026-01-01", "/performance/?mode=%3Cb%3E"]
    paths += ["/accounts/password/change/", "/accounts/email/", "/accounts/logout/", "/nowhere/"]
    return {path: client.get(path).content.decode() for path in paths}


@pytest.fixture
def alices_pages(alice: User, client: Client) -> dict[str, str]:
    alice.is_staff = True
    alice.save()
    sign_in(client, alice)
    return _pages(client, _fill(alice))


def test_hostile_texts_are_only_ever_text(alices_pages: dict[str, str]) -> None:
    for path, body in alices_pages.items():
        assert "<script>alert" not in body, path
        assert "<img src=x" not in body, path
        assert 'value=""><b>' not in body, path
    assert any("&lt;script&gt;alert" in body for body in alices_pages.values())


def test_no_page_has_inline_code_or_style(alices_pages: dict[str, str], client: Client) -> None:
    strangers = {path: Client().get(path).content.decode() for path in PUBLIC}
    for path, body in (alices_pages | strangers).items():
        assert body, path
        assert not INLINE_SCRIPT.search(body), path
        assert not INLINE_STYLE.search(body), path
        assert not HANDLER.search(re.sub(r'"[^"]*"', '""', body)), path
        assert "javascript:" not in body, path


def test_the_policy_is_strict_and_htmx_keeps_to_it(alices_pages: dict[str, str]) -> None:
    policy = Client().get("/help/")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "nonce" not in policy
    for words in ('"allowEval":false', '"includeIndicatorStyles":false', '"selfRequestsOnly":true'):
        assert words in alices_pages["/"]
    code = (settings.BASE_DIR / "static/app.js").read_text(encoding="utf-8")
    for word in ("eval(", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"):
        assert word not in code


def test_no_template_or_view_switches_escaping_off() -> None:
    for folder, pattern in (("templates", "*.html"), ("bots", "*.py")):
        for path in (settings.BASE_DIR / folder).rglob(pattern):
            code = path.read_text(encoding="utf-8")
            assert not re.search(r"mark_safe|\|\s*safe\b|autoescape off|safeseq", code), path


def test_pages_of_signed_in_people_are_not_stored(alice: User, client: Client) -> None:
    sign_in(client, alice)
    for path in ("/", "/keys/", "/profile/", "/nowhere/"):
        assert "no-store" in client.get(path)["Cache-Control"], path


def test_pages_travel_compressed_and_their_length_tells_nothing(
    alice: User, client: Client
) -> None:
    sign_in(client, alice)
    plain = client.get("/help/").content
    packed = [client.get("/help/", headers={"accept-encoding": "gzip"}) for _ in range(8)]
    # The tokens against forged requests differ from page to page, and in nothing but letters.
    assert all(len(gzip.decompress(one.content)) == len(plain) for one in packed)
    assert all(one["Content-Encoding"] == "gzip" for one in packed)
    assert max(len(one.content) for one in packed) < len(plain) / 2
    assert len({len(one.content) for one in packed}) > 1


@pytest.mark.parametrize("status", list(Status))
def test_labels_in_turkish(status: Status) -> None:
    with translation.override("tr"):
        assert str(status.label) == LABELS[status]
        assert show.chip(None).endswith("Henüz başlatılmadı</span>")


def test_turkish_pages_have_turkish_numbers_and_say_so(alice: User, client: Client) -> None:
    alice.language = "tr"
    alice.save()
    sign_in(client, alice)
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade", daily_pnl=Decimal("1234.56"))
    page = client.get(f"/bots/{bot.pk}/")
    body = page.content.decode()
    assert '<html lang="tr"' in body
    assert page["Content-Language"] == "tr"
    assert "+1.234,56 USDT" in text_of(page)
    assert "Çalışıyor" in body
    alice.language = "en"
    alice.save()
    page = client.get(f"/bots/{bot.pk}/")
    assert '<html lang="en"' in page.content.decode()
    assert "+1,234.56 USDT" in text_of(page)


def test_a_users_language_wins_over_the_browsers_else_the_browser_decides(
    alice: User, client: Client
) -> None:
    turkish = {"Accept-Language": "tr-TR,tr;q=0.9"}
    assert '<html lang="tr"' in Client().get("/help/", headers=turkish).content.decode()
    alice.language = "en"
    alice.save()
    sign_in(client, alice)
    assert '<html lang="en"' in client.get("/help/", headers=turkish).content.decode()


def test_the_footer_switches_the_language_for_user_and_browser(alice: User, client: Client) -> None:
    sign_in(client, alice)
    answer = client.post("/language/", {"language": "tr", "next": "/help/"})
    assert answer.url == "/help/"
    alice.refresh_from_db()
    assert alice.language == "tr"
    assert answer.cookies[settings.LANGUAGE_COOKIE_NAME].value == "tr"
    evil = client.post("/language/", {"language": "xx", "next": "https://evil.example/"})
    assert evil.url == "/"
    alice.refresh_from_db()
    assert alice.language == "tr"


def test_times_are_the_readers_with_utc_as_title(alice: User, client: Client) -> None:
    alice.time_zone = "Asia/Kathmandu"
    alice.save()
    sign_in(client, alice)
    bot = bot_of(alice)
    at = datetime(2026, 3, 1, 10, 0, 5, tzinfo=UTC)
    decision(bot, first_at=at, last_at=at)
    body = client.get(f"/bots/{bot.pk}/decisions/").content.decode()
    expected = '<time datetime="2026-03-01T10:00:05Z" title="2026-03-01 10:00:05 UTC">'
    assert f"{expected}1 Mar 15:45:05</time>" in body


def test_the_profile_sets_zone_and_theme(alice: User, client: Client) -> None:
    sign_in(client, alice)
    data = {"language": "", "time_zone": "Europe/Istanbul", "theme": "dark"}
    client.post("/profile/", data)
    body = client.get("/").content.decode()
    assert 'data-theme="dark"' in body
    assert 'data-zone="Europe/Istanbul"' in body
    refused = client.post("/profile/", data | {"time_zone": "Mars/Base"})
    assert refused.status_code == 422


def test_every_reason_that_needs_it_says_what_now_and_what_to_do() -> None:
    for reason in TRANSIENT | LIMITS | FATAL:
        words = explain(reason)
        assert words is not None, reason
        assert str(words.what), reason
        assert str(words.now), reason
        assert str(words.todo), reason
    assert len({str(words.what) for words in EXPLANATIONS.values()}) == len(EXPLANATIONS)
    assert explain(Reason.NO_SIGNAL) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (11_520, "3 h 12 min"),
        (90_000, "1 d"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def _read(state: BotState | None, now: datetime) -> str:
    return re.sub(r"<[^>]+>", "", sentence(state, now))


def test_one_sentence_says_status_reason_and_what_comes_next(alice: User) -> None:
    bot = bot_of(alice)
    now = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    columns = {
        "last_ok_at": now.replace(hour=9, minute=57),
        "last_run_at": now.replace(hour=9, minute=59, second=12),
    }
    state = state_of(bot, "waiting", "stale_data", "trade", **columns)
    assert _read(state, now) == "Waiting - no fresh candles for 3 min; tries again in 12 s"
    BotState.objects.filter(pk=bot.pk).update(
        status="paused",
        reason="max_daily_loss",
        duty="none",
        day_ends_at=now.replace(hour=13, minute=12),
    )
    state = BotState.objects.select_related("bot").get(pk=bot.pk)
    assert _read(state, now) == "Paused - max daily loss reached; resumes at 13:12, in 3 h 12 min"
    assert sentence(None, now) == "Never started"


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0.00"), ("1234.5", "1,234.50"), ("-0.004", "-0.004"), ("0.014662256", "0.015")],
)
def test_money_keeps_what_matters(value: str, text: str) -> None:
    assert show.money(Decimal(value)) == text


def test_prices_and_amounts_follow_tick_and_step() -> None:
    assert show.price(Decimal("67120.5"), Decimal("0.01")) == "67,120.50"
    assert show.amount(Decimal("0.0015999"), Decimal("0.0001")) == "0.0015"
    assert show.amount(Decimal("1"), None) == "1"
    assert show.price(None) == "-"
