"""KuCoin's codes (REST API, "Errors"), those of trading and of the key."""

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
    TOO_SMALL,
    UNCERTAIN,
    Table,
    rows,
)

TABLE = Table(
    account_limits=frozenset({200002}),
    explained=frozenset({400100, 100001}),
    messages=(
        ("exceeded the access frequency", LIMITED),
        ("require more permission", NO_RIGHT),
        ("below the minimum requirement", TOO_SMALL),
        ("order not exist", NO_ORDER),
        ("the order does not exist", NO_ORDER),
        ("order_not_exist", NO_ORDER),
        ("unsupported trading pair", NO_MARKET),
        ("balance insufficient", NO_FUNDS),
    ),
    rows={
        **rows(UNCERTAIN, 500, 503, 500000, 230005),
        **rows(LIMITED, 429, 429000, 200002, 1015),
        **rows(LATE, 400002),
        **rows(BAD_KEY, 401, 400001, 400003, 400004, 400005, 400006, 400401),
        **rows(NO_RIGHT, 400007, 400303, 400500, 411100, 101030, 112010, 130302, 126005),
        **rows(NO_MARKET, 400000, 400600, 900001),
        **rows(HALTED, 200003, 200009, 300001),
        **rows(NO_ORDER, 100001, 130103, 130108, 126043),
        **rows(NO_FUNDS, 200004, 210021, 230003, 300003, 330008, 130105, 130203, 126013),
        **rows(TOO_SMALL, 400200),
        **rows(MALFORMED, 400, 400100, 400330, 400350, 400370, 400400, 400760, 300000, 300009),
        **rows(MALFORMED, 300011, 300012, 330005, 330012, 600101, 210014, 200001, 900014, 102411),
    },
)
