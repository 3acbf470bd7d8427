"""A signed-in browser that takes note of what the site's own content policy refuses."""

from collections.abc import Callable

from django.conf import settings
from playwright.sync_api import ConsoleMessage, Page

from bots.models import User
from tests.doors.client import signed_in

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", event => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
});
"""


def watch(page: Page) -> Callable[[], list[str]]:
    """Listen from the next page on; returns what tells of refusals and failed scripts so far."""
    page.add_init_script(WATCH)
    errors: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            errors.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return lambda: [*errors, *page.evaluate("window.violations")]


def sign_in(page: Page, user: User, url: str) -> None:
    """Give the browser a session of `user` at the site of that address; it is on no page yet."""
    name = settings.SESSION_COOKIE_NAME
    session = signed_in(user).cookies[name].value
    page.context.add_cookies([{"name": name, "value": session, "url": url}])
