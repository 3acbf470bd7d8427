"""Bybit's codes (V5 API, "Error Codes"), those of trading and of the key."""

from trading.exchanges.codes.verdicts import (
    BAD_KEY,
    HALTED,
    LATE,
    LIMITED,
    MALFORMED,
    NO_FUNDS,
    NO_MARKET,
    NO_ORDER,
    NO_RIGHT,
    SO_ALREADY,
    TOO_SMALL,
    UNBELIEVABLE,
    UNCERTAIN,
    Table,
    number_and_text,
    rows,
)

TABLE = Table(
    read=lambda body: number_and_text(
        body.get("retCode", body.get("ret_code")), body.get("retMsg", body.get("ret_msg"))
    ),
    account_limits=frozenset({10006, 170222}),
    rows={
        **rows(UNCERTAIN, 10000, 10016, 10019, 5004, 170001, 170007, 170032, 170146, 170147),
        **rows(LATE, 10002),
        **rows(LIMITED, 10006, 10018, 170222),
        # A bad key, signature or address; a key of the other environment; an expired one.
        **rows(BAD_KEY, 10003, 10004, 10007, 10009, 10010, 33004),
        # No permission; banned; compliance; an account of another kind than the endpoint's.
        **rows(NO_RIGHT, 10005, 10008, 10020, 10024, 10027, 10028, 100028, 110067, 110068, 110069),
        **rows(NO_MARKET, 10029, 170121),
        **rows(NO_ORDER, 110001, 170142, 170213),
        **rows(
            NO_FUNDS, 110004, 110006, 110007, 110012, 110014, 110044, 110045, 110051, 110052, 110053
        ),
        **rows(NO_FUNDS, 170033, 170131, 131212),
        **rows(TOO_SMALL, 110094, 170136, 170140),
        **rows(HALTED, 110066, 170105, 170151, 170157),
        # The id is ours and was sent once: an order of that name is there, so look it up.
        **rows(UNBELIEVABLE, 110030, 110072, 12141, 170141),
        **rows(SO_ALREADY, 110025, 110026, 110027, 110043, 34036),
        # Prices, amounts, limits on orders and positions, orders that are done already.
        **rows(MALFORMED, 10001, 110003, 110005, 110008, 110009, 110010, 110011, 110013, 110015),
        **rows(MALFORMED, 110016, 110017, 110018, 110019, 110020, 110021, 110022, 110023, 110028),
        **rows(MALFORMED, 110031, 110032, 110034, 110036, 110040, 110042, 110054, 110055, 110057),
        **rows(MALFORMED, 110092, 110093, 12137, 170115, 170116, 170117, 170124, 170130, 170132),
        **rows(MALFORMED, 170133, 170134, 170135, 170137, 170139, 170143, 170145, 170210, 170217),
        **rows(MALFORMED, 170218, 170371, 170372),
    },
)
