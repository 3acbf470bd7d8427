"""One call to ccxt: what goes in, what may come out, and how it fails.

ccxt itself is handed in: the file that imports it is ccxt_exchange.py.
"""

import json
import logging
from collections.abc import Callable, Mapping
from decimal import localcontext
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from requests import Response
from urllib3.exceptions import HTTPError

from trading.exchange import Fault, Refused, Unreachable
from trading.exchanges.codes import table_of
from trading.exchanges.codes.verdicts import Code, Table
from trading.exchanges.errors import Call, Failure, classify, scrub
from trading.exchanges.kept import Kept, fingerprint
from trading.exchanges.meter import Meter
from trading.exchanges.silence import (
    Limits,
    LocalSilences,
    Quiet,
    Silences,
    account_mark,
    left_for,
)
from trading.exchanges.wire import Wire, causes

#: Clients with a key that are kept, of about 260 kB each, and how long after they were used last.
KEPT_CLIENTS, KEPT_SECONDS = 64, 300.0

#: What ccxt lets through when an answer is not what it expects.
SURPRISES = (
    OSError,
    HTTPError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
#: One call instead of seven to load the markets, and none that needs a key.
OPTIONS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "binance": lambda market_type: {
        "fetchMarkets": {"types": ["spot" if market_type == "spot" else "linear"]},
        "fetchCurrencies": False,
        "fetchMargins": False,
    }
}

# ccxt logs headers and bodies, key and signature included, at level DEBUG.
# A filter stays when the logging is configured anew; `disabled` would not.
_silent = logging.getLogger("ccxt.silent")
_silent.addFilter(lambda record: False)


class Clients:
    """All ccxt clients of one exchange in this process: same connections, same silence."""

    def __init__(
        self,
        ccxt: ModuleType,
        exchange_id: str,
        *,
        mode: str,
        market_type: str,
        api_base: str | None,
        timeout_s: float,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
        scope: str,
        silences: Silences | None = None,
        meter: Meter | None = None,
    ) -> None:
        if exchange_id not in ccxt.exchanges:
            raise Refused(Fault.CLIENT, f"there is no exchange {scrub(exchange_id)}")
        if mode not in ("live", "testnet"):
            raise Refused(Fault.CLIENT, f"there is no mode {scrub(mode)}")
        self._ccxt = ccxt
        self._id = exchange_id
        self._mode = mode
        self._market_type = market_type
        self._api_base = api_base
        self._timeout_ms = round(timeout_s * 1000)
        self.monotonic = monotonic
        self.wire = Wire()
        self.errors = (ccxt.BaseError, *SURPRISES)
        self.codes = table_of(exchange_id, market_type)
        self.limits = Limits(wall)
        self._scope = scope
        self._silences = silences or LocalSilences(monotonic)
        self._meter = meter
        self._kept: Kept[Client] = Kept(size=KEPT_CLIENTS, idle_s=KEPT_SECONDS, monotonic=monotonic)

    def client(self, api_key: str = "", secret: str = "", passphrase: str = "") -> "Client":
        """Return a client, public without a key. Refused(CLIENT) if ccxt cannot make it.

        The same key, secret and passphrase get the same client again for KEPT_SECONDS.
        """
        key = (api_key, secret, passphrase)
        if not api_key:
            return self._new(*key)
        return self._kept.get(fingerprint(*key), lambda: self._new(*key))

    def _new(self, api_key: str, secret: str, passphrase: str) -> "Client":
        options = {"defaultType": self._market_type}
        extra = OPTIONS.get(self._id)
        config = {
            "number": str,  # all digits
            "timeout": self._timeout_ms,
            "session": self.wire.session(),
            "logger": _silent,
            "enableLastJsonResponse": True,
            # An order is signed before it would wait here, and fenced by the time it was signed.
            "enableRateLimit": not api_key,
            "options": {**options, **(extra(self._market_type) if extra else {})},
            **({"apiKey": api_key, "secret": secret} if api_key else {}),
            **({"password": passphrase} if passphrase else {}),
        }
        problem = ""
        try:
            raw = getattr(self._ccxt, self._id)(config)
            if self._mode == "testnet":
                raw.set_sandbox_mode(True)
            if self._api_base:
                raw.urls["api"] = rebase(raw.urls["api"], self._api_base)
        except self.errors as error:
            problem = scrub(str(error), api_key, secret, passphrase)
        if problem:
            raise Refused(Fault.CLIENT, problem)
        return Client(self, raw, account_mark(api_key), (api_key, secret, passphrase))

    def keep_silent(self, quiet: Quiet, account: str, seconds: float, why: str) -> None:
        """Remember that this exchange, or new orders of one account there, must be left alone."""
        self._silences.keep(self._scope, quiet, account, seconds, why)

    def heed(self, headers: Mapping[str, str], account: str) -> None:
        """Be quiet before the exchange has to say so: its answers count what we use."""
        for use in self.limits.uses(headers):
            whose = account if use.quiet is Quiet.ORDERS else ""
            if self._meter is not None:
                self._meter.used(
                    self._scope, whose, use.what, used=use.used, most=use.most, seconds=use.seconds
                )
            if use.is_spent:
                self.keep_silent(use.quiet, whose, use.seconds, use.why)

    def silence(self, what: Call, account: str) -> float:
        """Return for how many more seconds this account must not make such a call."""
        return left_for(self._silences, self._scope, what, account)


class Client:
    """One ccxt instance; `call` is the only way to the exchange."""

    def __init__(self, clients: Clients, raw: Any, account: str, secrets: tuple[str, ...]) -> None:
        self.raw = raw
        self._clients = clients
        self._account = account
        self._secrets = secrets

    def call(self, what: Call, method: str, *args: Any) -> Any:
        """Call a method of ccxt, once. None: a FIND found nothing. Raises ExchangeError.

        An answer that is not JSON is BAD_ANSWER, whatever ccxt made of it.
        """
        wire, raw = self._clients.wire, self.raw
        answer, failure = None, None
        with wire.lock:
            self._check_silence(what)
            wire.begin()
            raw.last_http_response = raw.last_json_response = None
            try:
                with localcontext():  # ccxt changes the rounding of the thread's own context
                    answer = getattr(raw, method)(*args)
                if wire.attempted and raw.last_json_response is None:
                    failure = self._failure(("NoJson",), "the answer is not JSON")
            except self._clients.errors as error:
                kinds = tuple(kind.__name__ for kind in type(error).__mro__)
                failure = self._failure(kinds, self._explain(error))
            headers = {} if wire.response is None else wire.response.headers
            self._clients.heed(headers, self._account)
        if failure is None:
            return answer
        # Outside of `except`, so that no traceback carries ccxt's message with the signed address.
        error_or_none = classify(failure, what, *self._secrets, codes=self._clients.codes)
        if error_or_none is None:
            return None
        if error_or_none.retry_after:
            self._keep_silent(failure, error_or_none.retry_after, error_or_none.text)
        raise error_or_none

    def _keep_silent(self, failure: Failure, seconds: float, why: str) -> None:
        if failure.code in self._clients.codes.account_limits:
            self._clients.keep_silent(Quiet.ORDERS, self._account, seconds, why)
        else:
            self._clients.keep_silent(Quiet.ALL, "", seconds, why)

    def _check_silence(self, what: Call) -> None:
        left = self._clients.silence(what, self._account)
        if left > 0:
            text = f"{self.raw.id} asked for silence, {left:.0f} s to go"
            raise Unreachable(Fault.RATE_LIMIT, text, sent=False, retry_after=left)

    def _failure(self, kinds: tuple[str, ...], text: str) -> Failure:
        wire = self._clients.wire
        response = wire.response
        body = self.raw.last_http_response or ""
        code, message, is_json = read_body(body, self._clients.codes)
        return Failure(
            kinds=kinds,
            text=text if is_json or not body else f"{text} {body[:1000]}",
            attempted=wire.attempted,
            written=wire.written,
            status=None if response is None else response.status_code,
            body_is_json=is_json,
            code=code,
            message=message,
            retry_after=retry_after(response),
        )

    def _explain(self, error: BaseException) -> str:
        """Say what went wrong without the address that ccxt puts into each message."""
        if not self._clients.wire.attempted:
            return str(error)
        if self._clients.wire.error is not None:
            return str(list(causes(self._clients.wire.error))[-1])
        if self._clients.wire.response is not None and self.raw.last_http_response is None:
            return "the connection broke in the middle of the answer"
        return "" if isinstance(error, self._clients.errors[0]) else "the answer makes no sense"


def read_body(body: str, table: Table) -> tuple[Code | None, str, bool]:
    """Return code and message of an error body, and whether it is a JSON object at all."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None, "", False
    if not isinstance(answer, dict):
        return None, "", False
    return *table.read(answer), True


def retry_after(response: Response | None) -> float | None:
    """Return the seconds of silence that an answer's header asks for."""
    text = "" if response is None else response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 9 else None


def rebase(urls: Any, base: str) -> Any:
    """Return ccxt's table of addresses with scheme and host of `base`; paths stay."""
    if isinstance(urls, dict):
        return {name: rebase(url, base) for name, url in urls.items()}
    if not isinstance(urls, str) or not urls.startswith("http"):
        return urls
    host, url = urlsplit(base), urlsplit(urls)
    if host.scheme not in ("http", "https") or not host.netloc:
        raise ValueError(f"no http address: {base}")
    return urlunsplit((host.scheme, host.netloc, url.path, url.query, ""))
