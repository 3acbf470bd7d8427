"""The process that sends alerts: `python -m bots.alerts.courier`, a job list in, results out.

A process of its own, because what it does must touch nothing else: it is killed when its time is
over, its memory goes with it, it is given no secret but the addresses that it sends to, and its
guards cover everything that apprise, requests and smtplib do, since Python itself asks them. The
only place that imports apprise; no Django here.

In: one JSON object on standard input, {"allow_private": bool, "jobs": [{"id", "url", "title",
"body", "type", "trusted"}]}. Out: one JSON line for each job, as soon as it has ended, {"id", "ok",
"fault", "code"}. `trusted`: the operator's own mail server, which may be private.
"""

import json
import logging
import os
import resource
import signal
import smtplib
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from bots.alerts import policy

#: For connecting, and for each answer.
TIMEOUT_SECONDS = 5.0
#: After which this process ends itself, should whoever started it be gone.
LIFE_SECONDS = 25
ANSWER_BYTES = 64 * 1024
AT_ONCE = 8
#: What this process may hold, its threads' stacks counted: a mail server may greet without an end.
MEMORY_BYTES = 384 * 1024 * 1024
#: What no channel has to do with: other programs, other ways out of the machine.
NEVER = ("subprocess.", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "pty.")
OTHER_WAYS = frozenset({"socket.sendto", "socket.sendmsg", "socket.bind", "ctypes.dlopen"})


class Denied(OSError):
    """A connection that the policy does not allow."""


@dataclass(slots=True)
class Trip:
    """What one job may do, and what it met."""

    allow_private: bool = False
    failure: BaseException | None = None
    status: int | None = None


#: Of the job at work. Not of its thread: apprise waits for its own threads, and hands this on.
_trip: ContextVar[Trip] = ContextVar("trip")


def here() -> Trip:
    """Return the trip of the job at work; where nobody handed it on, one that may do nothing."""
    return _trip.get(Trip())


def guard(event: str, args: tuple[Any, ...]) -> None:
    """Refuse what a job may not do: an audit hook, so it sees the address that is connected to.

    A name is looked up before; a second look-up that says something else (rebinding) comes here
    as well, since the answer to it is what the socket is given.
    """
    if event == "socket.connect":
        if not policy.may_connect(args[1], allow_private=here().allow_private):
            here().failure = Denied("private")
            raise Denied("private")
    elif event in OTHER_WAYS or event.startswith(NEVER):
        raise PermissionError(event)


class Witness(logging.Handler):
    """Keeps the exception that apprise is about to swallow: it logs it while handling it."""

    def emit(self, record: logging.LogRecord) -> None:
        here().failure = here().failure or sys.exc_info()[1]


def bounded_session(requests: Any) -> type:
    """Return a requests.Session that does what this page of rules says, whatever it is asked for.

    No redirects, certificates checked, no proxies and no .netrc, https alone, and no more of the
    answer than ANSWER_BYTES.
    """

    class Session(requests.Session):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.trust_env = False

        def request(self, method: str, url: str, **options: Any) -> Any:
            if not url.lower().startswith("https://") and not here().allow_private:
                here().failure = Denied("private")
                raise Denied("private")
            options |= {"allow_redirects": False, "timeout": TIMEOUT_SECONDS, "verify": True}
            answer = super().request(method, url, **options | {"stream": True})
            here().status = answer.status_code
            try:
                answer._content = answer.raw.read(ANSWER_BYTES)
            finally:
                answer.close()
            return answer

    return Session


def services() -> dict[str, Callable[[], Any]]:
    """Return the classes of apprise by scheme; each is imported where it is needed, no other is."""

    def mail() -> Any:
        from apprise.plugins.email import NotifyEmail

        return NotifyEmail

    def telegram() -> Any:
        from apprise.plugins.telegram import NotifyTelegram

        return NotifyTelegram

    def discord() -> Any:
        from apprise.plugins.discord import NotifyDiscord

        return NotifyDiscord

    def slack() -> Any:
        from apprise.plugins.slack import NotifySlack

        return NotifySlack

    def webhook() -> Any:
        from apprise.plugins.custom_json import NotifyJSON

        return NotifyJSON

    known = {"mailto": mail, "mailtos": mail, "json": webhook, "jsons": webhook}
    return known | {"tgram": telegram, "discord": discord, "slack": slack}


def send(job: dict[str, Any], *, allow_private: bool) -> dict[str, Any]:
    """Send one message. Returns its id, whether it arrived, and else the fault and its number."""
    trip = Trip(allow_private=allow_private or bool(job["trusted"]))
    _trip.set(trip)
    try:
        sent = _notify(job, trip)
    except policy.Unfit as error:
        fault = "private" if error.code == "private" else "address"
        return {"id": job["id"], "ok": False, "fault": fault, "code": None}
    except Exception as error:  # the courier's one door: the fault goes into the log of deliveries
        trip.failure = trip.failure or error
        sent = False
    if sent:
        return {"id": job["id"], "ok": True, "fault": "", "code": None}
    fault, code = judge(trip.failure, trip.status)
    return {"id": job["id"], "ok": False, "fault": fault, "code": code}


def _notify(job: dict[str, Any], trip: Trip) -> bool:
    import apprise

    scheme = policy.check(job["url"], allow_private=trip.allow_private)
    kind = services()[scheme]()
    parsed = kind.parse_url(job["url"])
    if not parsed:
        raise policy.Unfit("form")
    policy.check_options(scheme, list(parsed["qsd"]))
    parsed["asset"] = apprise.AppriseAsset(app_id="Botsite", async_mode=False)
    try:
        service = kind(**parsed)
    except (TypeError, apprise.exception.AppriseException):
        raise policy.Unfit("form") from None
    service.socket_connect_timeout = service.socket_read_timeout = TIMEOUT_SECONDS
    trip.failure = None  # what was only warned of
    one = apprise.Apprise(asset=parsed["asset"])
    one.add(service)
    text = apprise.NotifyFormat.TEXT
    title, body = job["title"], job["body"]
    return bool(one.notify(body=body, title=title, notify_type=job["type"], body_format=text))


def judge(failure: BaseException | None, status: int | None) -> tuple[str, int | None]:
    """Return what a failed job met (AlertDelivery.Fault), and the number of its answer."""
    met = [failure] if failure is not None else []
    while met and (inner := met[-1].__cause__ or met[-1].__context__) and len(met) < 12:
        met.append(inner)
    met += [arg for error in met for arg in error.args if isinstance(arg, BaseException)]
    met += [
        reason for error in met if isinstance(reason := getattr(error, "reason", None), OSError)
    ]

    def seen(*kinds: type[BaseException]) -> bool:
        return any(isinstance(error, kinds) for error in met)

    if seen(Denied):
        return "private", None
    if status is not None:
        return ("login" if status in (401, 403) else "answer"), status
    if seen(ssl.SSLError):
        return "tls", None
    for error in met:
        if isinstance(error, smtplib.SMTPResponseException):
            refused = isinstance(error, smtplib.SMTPAuthenticationError)
            return ("login" if refused else "answer"), error.smtp_code
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            return "answer", next((code for code, _text in error.recipients.values()), None)
    if seen(socket.gaierror):
        return "name", None
    if seen(TimeoutError) or "Timeout" in type(failure).__name__:
        return "timeout", None
    if seen(OSError, smtplib.SMTPException):
        return "connect", None
    return "internal", None


def main() -> int:
    """Send every job, several at once. Returns the exit code: 0, whatever arrived."""
    signal.alarm(LIFE_SECONDS)
    _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    order = json.load(sys.stdin)
    import apprise
    import requests

    # By name: apprise calls requests.post, which makes a session each time.
    setattr(requests.sessions, "Session", bounded_session(requests))  # noqa: B010
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [Witness()], False
    logger.setLevel(logging.DEBUG)
    assert apprise.__version__  # noqa: S101 - imported before the guard, by one thread
    sys.addaudithook(guard)
    lock = threading.Lock()

    def work(job: dict[str, Any]) -> None:
        result = send(job, allow_private=order["allow_private"])
        with lock:
            sys.stdout.write(json.dumps(result) + "\n")
            sys.stdout.flush()

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(work, order["jobs"]))
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
