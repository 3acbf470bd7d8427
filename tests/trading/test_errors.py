"""How a failed call is judged, and that its text tells no secret."""

import pytest

from trading.exchange import Fault, Refused, Rejected, Unreachable, Unusable
from trading.exchanges.codes.verdicts import Table
from trading.exchanges.errors import Call, Failure, classify, describe, scrub, silence

KEY = "canaryKEYcanaryKEYcanaryKEYcanaryKEYcanaryKEYcanaryKEYcanaryKEY0"
SECRET = "canarySECRETcanarySECRETcanarySECRETcanarySECRETcanarySECRET0000"


def said(code: int, message: str = "", status: int = 400, kind: str = "ExchangeError") -> Failure:
    """Return the failure in which the exchange answered with its own code."""
    return Failure(
        kinds=(kind, "ExchangeError", "BaseError"),
        text="",
        status=status,
        body_is_json=True,
        code=code,
        message=message,
    )


def order(failure: Failure) -> tuple[type, Fault, bool | None]:
    """Return what the failure of an order call means."""
    error = classify(failure, Call.ORDER)
    assert error is not None
    return type(error), error.fault, getattr(error, "sent", None)


UNKNOWN = [
    said(-1000, status=503),
    said(-1001, status=500),
    said(-1006, status=503),
    said(-1007, status=504),
    said(-1008, status=503),
    said(-1000),
    said(-1006),
    said(-1007, kind="RequestTimeout"),
    said(-1016),
    said(-2010, status=500),  # an error page of a gateway may quote anything
    said(-9999, "Something that nobody knows", kind="InvalidOrder"),
    said(-2010, "Duplicate order sent."),
    said(-2013, "Order does not exist."),  # the answer to another question
    Failure(kinds=("RequestTimeout",), text=""),
    Failure(kinds=("NetworkError",), text=""),
    Failure(kinds=("ExchangeNotAvailable",), text="", status=502),
    Failure(kinds=("ExchangeNotAvailable",), text="<html>", status=403),
    Failure(kinds=("AuthenticationError",), text="<html>", status=401),
    Failure(kinds=("RequestTimeout",), text="", status=408),
    Failure(kinds=("ExchangeError",), text="", status=302),
    Failure(kinds=("TypeError",), text="", status=200),
    Failure(kinds=("NoJson",), text="<html>", status=200),
    Failure(kinds=("NullResponse", "BadResponse"), text="", status=200, body_is_json=True),
    Failure(kinds=("InvalidOrder",), text="LOT_SIZE somewhere in a page", status=200),
]


@pytest.mark.parametrize("failure", UNKNOWN, ids=repr)
def test_any_doubt_about_an_order_is_an_unknown_outcome(failure):
    kind, _, sent = order(failure)
    assert (kind, sent) == (Unreachable, True)


@pytest.mark.parametrize(
    ("failure", "fault"),
    [
        (Failure(kinds=("NetworkError",), text="refused", written=False), Fault.NETWORK),
        (Failure(kinds=("RequestTimeout",), text="no route", written=False), Fault.NETWORK),
        (said(-1003, status=429), Fault.RATE_LIMIT),
        (said(-1003, status=418), Fault.RATE_LIMIT),
        (said(-1015, status=429), Fault.RATE_LIMIT),
        (Failure(kinds=("DDoSProtection",), text="", status=429), Fault.RATE_LIMIT),
        (said(-1021, kind="InvalidNonce"), Fault.CLOCK),
    ],
)
def test_what_was_surely_not_accepted_says_so(failure, fault):
    assert order(failure) == (Unreachable, fault, False)


@pytest.mark.parametrize(
    ("failure", "fault"),
    [
        (
            said(-2010, "Account has insufficient balance for requested action."),
            Fault.INSUFFICIENT_FUNDS,
        ),
        (said(-1013, "Filter failure: NOTIONAL"), Fault.BELOW_MINIMUM),
        (said(-1013, "Filter failure: MIN_NOTIONAL"), Fault.BELOW_MINIMUM),
        (said(-1013, "Filter failure: LOT_SIZE"), Fault.ORDER_REJECTED),
        (said(-1013, "Market is closed."), Fault.MARKET_HALTED),
        (said(-2010, "Market is closed."), Fault.MARKET_HALTED),
        (said(-1111, "Precision is over the maximum"), Fault.ORDER_REJECTED),
        (said(-1102), Fault.ORDER_REJECTED),
        (said(-1121, kind="BadSymbol"), Fault.MARKET_UNKNOWN),
        (said(-2010, "Stop price would trigger immediately."), Fault.ORDER_REJECTED),
    ],
)
def test_a_clear_no_to_the_order_is_a_rejection(failure, fault):
    assert order(failure) == (Rejected, fault, None)


@pytest.mark.parametrize("call", list(Call))
@pytest.mark.parametrize(
    ("failure", "fault"),
    [
        (said(-2014, status=401, kind="AuthenticationError"), Fault.KEY_INVALID),
        (said(-2015, status=401, kind="AuthenticationError"), Fault.KEY_INVALID),
        # What ccxt makes of a revoked key on a client that has authenticated before.
        (said(-2015, status=401, kind="DDoSProtection"), Fault.KEY_INVALID),
        (said(-1022), Fault.KEY_INVALID),
        (said(-1002), Fault.KEY_RIGHTS),
        (said(-2010, "This action is disabled on this account."), Fault.KEY_RIGHTS),
    ],
)
def test_a_clear_no_to_the_account_is_a_refusal(failure, fault, call):
    error = classify(failure, call)
    assert isinstance(error, Refused)
    assert error.fault is fault


def test_not_found_is_an_answer_to_a_search_only():
    absent = said(-2013, "Order does not exist.", kind="OrderNotFound")
    assert classify(absent, Call.FIND) is None
    assert isinstance(classify(absent, Call.READ), Unreachable)
    nothing = said(-2011, "Unknown order sent.", kind="OrderNotFound")
    assert isinstance(classify(nothing, Call.CANCEL), Rejected)
    page = Failure(kinds=("OrderNotFound",), text="<html>", status=404)
    assert isinstance(classify(page, Call.FIND), Unreachable)


def test_a_question_is_never_rejected():
    unknown = classify(said(-1121), Call.READ)
    assert isinstance(unknown, Unusable)
    assert unknown.fault is Fault.MARKET_UNKNOWN
    odd = classify(said(-1100), Call.FIND)
    assert isinstance(odd, Unreachable)
    assert odd.fault is Fault.BAD_ANSWER


def test_what_ccxt_refuses_before_it_sends_was_not_sent():
    def local(kind: str) -> Failure:
        return Failure(kinds=(kind, "ExchangeError"), text="", attempted=False, written=False)

    assert order(local("InvalidOrder")) == (Rejected, Fault.ORDER_REJECTED, None)
    assert order(local("BadSymbol")) == (Rejected, Fault.MARKET_UNKNOWN, None)
    assert order(local("NotSupported")) == (Refused, Fault.CLIENT, None)
    assert order(local("TypeError")) == (Unreachable, Fault.BAD_ANSWER, False)


def test_an_exchange_whose_codes_are_unknown_is_judged_by_ccxts_classes():
    def of(kind: str, **more: object) -> tuple[type, Fault]:
        failure = Failure(kinds=(kind,), text="", body_is_json=True, status=200, code=170131)
        error = classify(failure, Call.ORDER, codes=Table())
        assert error is not None
        return type(error), error.fault

    assert of("InsufficientFunds") == (Rejected, Fault.INSUFFICIENT_FUNDS)
    assert of("AuthenticationError") == (Refused, Fault.KEY_INVALID)
    assert of("PermissionDenied") == (Refused, Fault.KEY_RIGHTS)
    assert of("RateLimitExceeded") == (Unreachable, Fault.RATE_LIMIT)
    assert of("ExchangeError") == (Unreachable, Fault.BAD_ANSWER)


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [(429, 7.0, 7.0), (418, 1800.0, 1800.0), (429, None, 10.0), (418, None, 120.0),
     (429, 0.0, 1.0), (429, 99_999_999.0, 259_200.0)],
)  # fmt: skip
def test_how_long_to_be_silent(status, header, seconds):
    failure = Failure(kinds=(), text="", status=status, retry_after=header)
    assert silence(failure) == seconds
    error = classify(failure, Call.READ)
    assert error is not None
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    "text",
    [
        f"binance GET https://api.binance.com/api/v3/account?timestamp=1&signature={'ab' * 32}",
        f"signature={'0f' * 32}&x=1",
        f"SIGNATURE = {'0F' * 32}",
        "signature=short1",
        f"'X-MBX-APIKEY': '{KEY}'",
        f"Invalid key {KEY}.",
        f"api_key={KEY}&secret={SECRET}",
        f'{{"apiKey": "{KEY}", "secretKey": "{SECRET}"}}',
        f"Authorization: Bearer {SECRET}",
        f"passphrase=hunter2 {SECRET[:40]}",
        f"hmac {'1234567890abcdef' * 2}",
    ],
)
def test_scrubbing_leaves_no_secret(text):
    clean = scrub(text, KEY, SECRET, "short1", "hunter2")
    for secret in (KEY, SECRET, SECRET[:40], "ab" * 32, "0f" * 32, "0F" * 32, "short1", "hunter2"):
        assert secret not in clean
    assert "1234567890abcdef" not in clean


def test_scrubbing_needs_not_know_the_secret():
    assert "hunter2" not in scrub("passphrase=hunter2")
    assert KEY[:40] not in scrub(f"no such key: {KEY}")


def test_scrubbing_keeps_what_helps():
    text = "Filter failure: NOTIONAL for bs0a1b2c3d4e5f6g7h, order 28457 at 20000.01"
    assert scrub(text) == text
    assert (
        scrub("GET https://h/api/v3/order?symbol=X failed")
        == "GET https://h/api/v3/order?[...] failed"
    )
    assert scrub("a\r\nb\x00c\td", "", "") == "a b c d"


def test_scrubbing_makes_a_page_a_short_line():
    page = "<html><head><script>evil()</script><style>p{}</style></head><h1>502 &amp; down</h1>"
    assert scrub(page) == "502 & down"
    assert len(scrub("word " * 10_000)) == 300


def test_the_text_says_status_and_code():
    assert describe(said(-1013, "Filter failure: LOT_SIZE")) == (
        "HTTP 400, code -1013: Filter failure: LOT_SIZE"
    )
    assert describe(Failure(kinds=(), text="")) == "no answer"
