"""What really went over the network: an HTTP adapter under ccxt that takes note.

ccxt's exceptions do not say whether a request was written, and lose the headers. This one does
not retry and does not follow redirects (a redirected order would be a second order).
"""

import logging
import threading
from collections.abc import Iterator
from ssl import SSLCertVerificationError
from typing import Any

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

#: Failures before the first byte of a request: no address, no connection, no trusted peer.
UNWRITTEN = (ConnectTimeout, ConnectTimeoutError, NewConnectionError, SSLCertVerificationError)


class Wire(HTTPAdapter):
    """The connections to one exchange, shared by all its clients in this process.

    Hold `lock` around one ccxt call: `begin` before it, then read what is left: `attempted` (a
    request was made), `written` (one may have reached the exchange), and the last `response` or
    `error`.
    """

    def __init__(self) -> None:
        super().__init__(pool_connections=2, pool_maxsize=2, max_retries=0)
        self.lock = threading.RLock()
        self.begin()

    def begin(self) -> None:
        """Forget the call before."""
        self.attempted = False
        self.written = False
        self.response: Response | None = None
        self.error: OSError | None = None

    def session(self) -> Session:
        """Return a session for one ccxt client over these connections."""
        session = Session()
        session.trust_env = False
        session.max_redirects = 0
        session.mount("https://", self)
        session.mount("http://", self)
        return session

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send one request, once, and note how far it came."""
        self.attempted = True
        self.response = None
        earlier = self.written
        # Until an error proves otherwise: a time limit may end this call at any line.
        self.written = True
        try:
            self.response = super().send(request, *args, **kwargs)
        except OSError as error:
            self.error = error
            if any(isinstance(cause, UNWRITTEN) for cause in causes(error)):
                self.written = earlier
            raise
        return self.response

    def close(self) -> None:
        """Keep the connections: ccxt closes its session when one of many clients is collected."""


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what it was made of, outermost first."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        # Not __context__: that may be a failure of another call, which somebody is handling.
        waiting += [*cause.args, getattr(cause, "reason", None)]


class Unsigned(logging.Filter):
    """Drops urllib3's records of signed requests: at level DEBUG they hold the signature."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record may be written."""
        return "signature=" not in record.getMessage()


#: A filter on a logger does not see the records of its children, so it sits on the very one.
logging.getLogger("urllib3.connectionpool").addFilter(Unsigned())
