"""Every page in two languages, light and dark, at two widths: nothing that axe has to say.

Run by `make axe`. A page is loaded once for each language; then it is looked at in each light
and width, with all that folds unfolded, and each of its dialogs opened.
"""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from django.conf import settings as site
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from bots import candles
from tests import axe
from tests.axe import addresses, scenes
from tests.axe.addresses import Address
from tests.browser import WATCH
from tests.doors.client import signed_in

pytestmark = [pytest.mark.axe, pytest.mark.django_db(transaction=True)]

SIZES = {390: 844, 1280: 900}
LIGHTS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LOCALES = {"en": "en-US", "tr": "tr-TR"}
UNFOLD = "for (const one of document.querySelectorAll('details')) one.open = true"
TICK_ALL = "for (const one of document.querySelectorAll('[type=checkbox]')) one.checked = true"
DIALOGS = "[...document.querySelectorAll('dialog[id]')].map(one => one.id)"


@pytest.fixture(autouse=True)
def _nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker listens here; and no candle is known that another test's database held."""
    candles._known.clear()
    monkeypatch.setattr("bots.schedule.send", lambda *_, **__: True)


@pytest.fixture
def scene(settings: Any) -> scenes.Scene:
    return scenes.build(settings)


@pytest.fixture
def clients(scene: scenes.Scene) -> dict[str, Client]:
    """A caller for each kind of viewer, the least trusted first."""
    return {"stranger": Client(), **{name: signed_in(user) for name, user in scene.viewers.items()}}


class Auditor:
    """One page for each viewer, in one language, and what was wrong on it so far."""

    def __init__(self, browser: Browser, url: str, language: str) -> None:
        self._browser, self._url, self._language = browser, url, language
        self._pages: dict[str, Page] = {}
        self.found: list[str] = []
        self._told: list[str] = []
        self._opened: set[tuple[str, str]] = set()

    def page_of(self, viewer: str, client: Client) -> Page:
        """Return this viewer's page; it listens to all that the browser has to say."""
        if viewer not in self._pages:
            context = self._browser.new_context(locale=LOCALES[self._language])
            context.add_init_script(WATCH)
            context.add_init_script(path=axe.install())
            if cookie := client.cookies.get(site.SESSION_COOKIE_NAME):
                name = site.SESSION_COOKIE_NAME
                context.add_cookies([{"name": name, "value": cookie.value, "url": self._url}])
            page = context.new_page()
            page.on("console", self._listen)
            page.on("pageerror", lambda error: self._told.append(str(error)))
            self._pages[viewer] = page
        return self._pages[viewer]

    def _listen(self, message: ConsoleMessage) -> None:
        # Its hints on what password managers would like are no complaints.
        if not message.text.startswith("[DOM]"):
            self._told.append(f"the browser says: {message.text}")

    def look(self, address: Address, client: Client, status: int = 200) -> None:
        """Load the page and hold it, and its dialogs, against the rules in every light."""
        page = self.page_of(address.viewer, client)
        self._told.clear()
        answer = page.goto(self._url + address.path)
        assert answer is not None
        if answer.status != status:
            self._note(address, "", [f"answers {answer.status}"])
        if status == 404:  # the browser says so, too
            self._told.clear()
        if address.press:
            if address.ticked:
                page.evaluate(TICK_ALL)
            if address.file:
                content = {"name": "bots.json", "mimeType": "application/json"}
                page.set_input_files("[type=file]", {**content, "buffer": address.file})
            with page.expect_navigation():
                page.click(address.press)
            # A form that comes back with its mistakes: the browser takes note of the status.
            self._told = [told for told in self._told if "status of 422" not in told]
        language = page.locator("html").get_attribute("lang")
        if language != self._language:
            self._note(address, "", [f"speaks {language}"])
        page.evaluate(UNFOLD)
        for width, height in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            for light in LIGHTS:
                # Colours that are still on their way from one light to the other are nobody's.
                page.emulate_media(color_scheme=light, reduced_motion="reduce")
                self._note(
                    address, f"{width} {light}", axe.audit(page, only_colours=light == "dark")
                )
                if width <= axe.PHONE:
                    self._note(address, f"{width} {light}", self._dialogs(page, light))
        self._note(address, "", [*self._told, *page.evaluate("window.violations")])

    def _dialogs(self, page: Page, light: str) -> Iterator[str]:
        """What is wrong with the page's dialogs; one that many pages have is opened once."""
        for name in page.evaluate(DIALOGS):
            if (name, light) in self._opened:
                continue
            self._opened.add((name, light))
            page.evaluate("name => document.getElementById(name).showModal()", name)
            yield from axe.audit(page, f"#{name}", only_colours=light == "dark")
            page.evaluate("name => document.getElementById(name).close()", name)

    def _note(self, address: Address, how: str, wrong: Any) -> None:
        where = f"{address.path} {address.press} ({address.viewer}, {self._language} {how})"
        self.found += [f"{where}: {what}" for what in wrong]

    def close(self) -> None:
        for page in self._pages.values():
            context: BrowserContext = page.context
            context.close()


@pytest.mark.parametrize("language", ["en", "tr"])
def test_no_page_breaks_a_rule_in_any_light_at_any_width(
    language: str,
    browser: Browser,
    live_server: Any,
    scene: scenes.Scene,
    clients: dict[str, Client],
) -> None:
    found, lost = addresses.pages(clients, scene.values)
    assert lost == []
    assert len(found) > 30
    clients["halfway"] = scenes.halfway()
    auditor = Auditor(browser, live_server.url, language)
    try:
        for address in [*found, *scene.extras]:
            status = 404 if "no-such" in address.path else 200
            auditor.look(address, clients[address.viewer], status)
    finally:
        auditor.close()
    assert not auditor.found, "\n".join(auditor.found)
