"""The tables of error codes against those of ccxt, and what each exchange's bodies say."""

import json

import ccxt
import pytest

from trading.exchange import Fault, Refused, Rejected, Unreachable
from trading.exchanges.client import read_body
from trading.exchanges.codes import binance, bybit, kraken, kucoin, okx, table_of
from trading.exchanges.codes.verdicts import UNKNOWN_EXCHANGE, Outcome, Table
from trading.exchanges.errors import Call, Failure, classify, verdict

THEIRS = ccxt.binance().exceptions
OURS = {"spot": binance.SPOT, "linear": binance.FUTURES}


def codes_of(section: str) -> set[int]:
    """Return ccxt's numeric codes of one section of Binance ("exact": of all)."""
    table = THEIRS[section] if section == "exact" else THEIRS[section]["exact"]
    return {int(code) for code in table if code.lstrip("-").isdigit()}


@pytest.mark.parametrize("market", OURS)
def test_each_code_that_ccxt_knows_of_a_market_has_a_row(market):
    known = codes_of(market) | {code for code in codes_of("exact") if code > -3000}
    assert len(known) > 130
    assert known - OURS[market].rows.keys() == set()


def test_each_code_that_ccxt_knows_of_binance_at_all_has_a_row():
    known = set().union(*map(codes_of, THEIRS.keys() - {"broad"}))
    assert len(known) > 400
    assert known - (binance.SPOT.rows.keys() | binance.FUTURES.rows.keys()) == set()


def test_each_text_that_ccxt_knows_of_binance_is_understood():
    texts = [code for code in THEIRS["exact"] if not code.lstrip("-").isdigit()]
    assert len(texts) > 15
    for text in [*texts, *THEIRS["broad"]]:
        # Where Binance says "this", ccxt's translation to Python has put "self".
        said = text.lower().replace(" self ", " this ")
        assert any(part in said for part, _ in binance.MESSAGES), text


#: What ccxt calls an unknown outcome must never become a clear no here, and the reverse is rare.
DOUBT = (ccxt.OperationFailed, ccxt.RequestTimeout)
#: Where the exchange's own words are plainer than ccxt's class.
CLEAR = {-1010, -1112, -2020, -2023, -5041}


@pytest.mark.parametrize("market", OURS)
def test_what_ccxt_doubts_is_in_doubt(market):
    classes = {**THEIRS["exact"], **THEIRS[market]["exact"]}
    for code, kind in classes.items():
        if not code.lstrip("-").isdigit() or int(code) in CLEAR or not issubclass(kind, DOUBT):
            continue
        row = OURS[market].rows.get(int(code))
        assert row is None or row[0] in (Outcome.UNKNOWN, Outcome.NOT_ACCEPTED), (code, row)


@pytest.mark.parametrize(
    ("exchange", "table"),
    [
        ("bybit", bybit.TABLE),
        ("okx", okx.TABLE),
        ("kraken", kraken.TABLE),
        ("kucoin", kucoin.TABLE),
    ],
)
def test_the_main_codes_agree_with_ccxt_where_it_says_more_than_an_error(exchange, table):
    theirs = {}
    for code, kind in getattr(ccxt, exchange)().exceptions["exact"].items():
        theirs[int(code) if code.isdigit() else code] = kind
    fault_of = {
        ccxt.InsufficientFunds: {Fault.INSUFFICIENT_FUNDS},
        ccxt.BadSymbol: {Fault.MARKET_UNKNOWN},
        ccxt.RateLimitExceeded: {Fault.RATE_LIMIT},
        ccxt.DDoSProtection: {Fault.RATE_LIMIT},
        ccxt.AuthenticationError: {Fault.KEY_INVALID, Fault.KEY_RIGHTS, Fault.CLOCK},
        ccxt.OnMaintenance: {Fault.MAINTENANCE, Fault.MARKET_HALTED},
        ccxt.InvalidNonce: {Fault.CLOCK, Fault.KEY_INVALID},
    }
    shared = [code for code in table.rows if code in theirs]
    assert len(shared) >= 20
    for code in shared:
        for kind, faults in fault_of.items():
            if theirs[code] is kind:
                assert table.rows[code][1] in faults, (code, table.rows[code])


def failure(table: Table, body: object, status: int = 200) -> Failure:
    """Return the failure in which an exchange answered with this body."""
    code, message, is_json = read_body(json.dumps(body), table)
    return Failure(
        kinds=("ExchangeError", "BaseError"),
        text="",
        status=status,
        body_is_json=is_json,
        code=code,
        message=message,
    )


SAID = [
    ("bybit", {"retCode": 110007, "retMsg": "ab not enough"}, Rejected, "insufficient_funds"),
    ("bybit", {"retCode": 10003, "retMsg": "API key is invalid."}, Refused, "api_key_invalid"),
    ("bybit", {"retCode": 10002, "retMsg": "timestamp"}, Unreachable, "clock"),
    ("bybit", {"retCode": 10006, "retMsg": "Too many visits!"}, Unreachable, "rate_limit"),
    ("bybit", {"retCode": 110072, "retMsg": "duplicate"}, Unreachable, "bad_answer"),
    ("bybit", {"retCode": 5004, "retMsg": "Server Timeout"}, Unreachable, "maintenance"),
    ("okx", {"code": "50111", "msg": "Invalid key"}, Refused, "api_key_invalid"),
    (
        "okx",
        {"code": "1", "msg": "", "data": [{"sCode": "51008", "sMsg": "Insufficient balance"}]},
        Rejected,
        "insufficient_funds",
    ),
    ("okx", {"code": "1", "msg": "", "data": [{"sCode": "51020"}]}, Rejected, "below_minimum"),
    ("okx", {"code": "1", "msg": "failed", "data": []}, Unreachable, "maintenance"),
    ("okx", {"code": "50004", "msg": "timeout"}, Unreachable, "maintenance"),
    ("kraken", {"error": ["EOrder:Insufficient funds"]}, Rejected, "insufficient_funds"),
    ("kraken", {"error": ["EAPI:Invalid key"]}, Refused, "api_key_invalid"),
    ("kraken", {"error": ["EService:Busy"]}, Unreachable, "maintenance"),
    ("kraken", {"error": ["EGeneral:Invalid arguments:who"]}, Rejected, "order_rejected"),
    ("kraken", {"error": ["EOrder:Cost minimum not met"]}, Rejected, "below_minimum"),
    ("kucoin", {"code": "200004", "msg": "Balance insufficient!"}, Rejected, "insufficient_funds"),
    ("kucoin", {"code": "400100", "msg": "Order size below the minimum requirement."}, Rejected,
     "below_minimum"),
    ("kucoin", {"code": "400003", "msg": "KC-API-KEY not exists"}, Refused, "api_key_invalid"),
    ("kucoin", {"code": "429000", "msg": "Too Many Requests"}, Unreachable, "rate_limit"),
]  # fmt: skip


@pytest.mark.parametrize(("exchange", "body", "kind", "fault"), SAID, ids=str)
def test_what_an_exchange_says_in_its_own_form(exchange, body, kind, fault):
    table = table_of(exchange, "spot")
    error = classify(failure(table, body), Call.ORDER, codes=table)
    assert isinstance(error, kind)
    assert error.fault == fault


FUTURES = [
    (-2019, "Margin is insufficient.", Rejected, Fault.INSUFFICIENT_FUNDS),
    (-2021, "Order would immediately trigger.", Rejected, Fault.ORDER_REJECTED),
    (-2022, "ReduceOnly Order is rejected.", Rejected, Fault.ORDER_REJECTED),
    (-4164, "Order's notional must be no smaller than 100", Rejected, Fault.BELOW_MINIMUM),
    (-4116, "ClientOrderId is duplicated.", Unreachable, Fault.BAD_ANSWER),
    (-4087, "User can only place reduce only order", Rejected, Fault.ORDER_REJECTED),
    (-5022, "Post Only order will be rejected.", Rejected, Fault.ORDER_REJECTED),
    (-5028, "Timestamp for this request is outside of the ME recvWindow.", Unreachable, "clock"),
    (-2017, "API Keys are locked on this account.", Refused, Fault.KEY_RIGHTS),
    (-1008, "Server is currently overloaded", Unreachable, Fault.MAINTENANCE),
    (-9998, "Nobody knows", Unreachable, Fault.BAD_ANSWER),
]


@pytest.mark.parametrize(("code", "message", "kind", "fault"), FUTURES)
def test_futures_have_codes_of_their_own(code, message, kind, fault):
    failed = failure(binance.FUTURES, {"code": code, "msg": message}, 400)
    error = classify(failed, Call.ORDER, codes=binance.FUTURES)
    assert isinstance(error, kind)
    assert error.fault == fault
    if code == -5028:
        assert isinstance(error, Unreachable)
        assert not error.sent


def test_a_setting_that_is_so_already_is_a_success_and_no_answer_to_anything_else():
    for code in (-4046, -4059):
        said = failure(binance.FUTURES, {"code": code, "msg": "No need to change"}, 400)
        assert classify(said, Call.SET, codes=binance.FUTURES) is None
        for call in set(Call) - {Call.SET}:
            assert isinstance(classify(said, call, codes=binance.FUTURES), Unreachable)
        # The same number of the spot host means something else.
        assert classify(said, Call.SET, codes=binance.SPOT) is not None
    refused = failure(binance.FUTURES, {"code": -4048, "msg": "there exists position"}, 400)
    assert isinstance(classify(refused, Call.SET, codes=binance.FUTURES), Rejected)


def test_an_exchange_without_a_table_is_judged_by_ccxts_classes():
    assert table_of("gate", "spot") is UNKNOWN_EXCHANGE
    known = Failure(kinds=("InsufficientFunds",), text="", status=400, body_is_json=True, code=7)
    assert verdict(known, codes=UNKNOWN_EXCHANGE)[1] is Fault.INSUFFICIENT_FUNDS
    # So is a code that the main codes of an exchange leave out, but not one of a whole table.
    assert verdict(known, codes=bybit.TABLE)[1] is Fault.INSUFFICIENT_FUNDS
    assert verdict(known, codes=binance.SPOT)[0] is Outcome.UNKNOWN


@pytest.mark.parametrize("body", ["", "<html>", "[]", "7", '"text"', "null", "[[[["])
def test_a_body_that_is_no_object_has_no_code(body):
    for exchange in ("binance", "bybit", "okx", "kraken", "kucoin"):
        assert read_body(body, table_of(exchange, "spot")) == (None, "", False)


@pytest.mark.parametrize("odd", [{}, {"code": []}, {"error": [7]}, {"error": {}}, {"data": [1]}])
def test_a_body_of_an_odd_form_has_no_code(odd):
    for exchange in ("binance", "bybit", "okx", "kraken", "kucoin"):
        assert read_body(json.dumps(odd), table_of(exchange, "swap")) == (None, "", True)
