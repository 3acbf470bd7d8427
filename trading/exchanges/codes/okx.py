"""OKX's codes (V5 API, "Error Code"), those of trading and of the key.

Of a refused order the answer's own code is 1 (all failed) or 2 (some did); which one it is says
`sCode` of the order in `data`.
"""

from collections.abc import Mapping
from typing import Any

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
    UNBELIEVABLE,
    UNCERTAIN,
    Code,
    Table,
    number_and_text,
    rows,
)


def read(body: Mapping[str, Any]) -> tuple[Code | None, str]:
    """Return the code and message of the first order that was refused, else of the answer."""
    data = body.get("data")
    for part in data if isinstance(data, list) else ():
        if isinstance(part, Mapping) and str(part.get("sCode", "0")) != "0":
            return number_and_text(part.get("sCode"), part.get("sMsg"))
    return number_and_text(body.get("code"), body.get("msg"))


TABLE = Table(
    read=read,
    account_limits=frozenset({50061, 51025}),
    rows={
        **rows(UNCERTAIN, 1, 50001, 50004, 50013, 50026, 51054, 51149, 51410),
        **rows(LIMITED, 50011, 50040, 50061),
        **rows(LATE, 50102),
        **rows(BAD_KEY, 50100, 50101, 50103, 50104, 50105, 50106, 50107, 50108, 50110, 50111),
        **rows(BAD_KEY, 50112, 50113, 50114, 50119),
        **rows(NO_RIGHT, 50007, 50009, 50027, 50030, 50120, 51009, 51024),
        **rows(NO_MARKET, 51001, 51002, 51012, 51014, 51015, 51026, 51087),
        **rows(HALTED, 51021, 51022, 51027, 51028, 51030),
        **rows(NO_ORDER, 51400, 51401, 51402, 51405, 51503, 51603),
        **rows(NO_FUNDS, 51008, 51119, 51120, 51127, 51131, 51502, 59200),
        **rows(TOO_SMALL, 51007, 51020, 51100, 51118),
        # The id is ours and was sent once: an order of that name is there, so look it up.
        **rows(UNBELIEVABLE, 51011, 51016),
        **rows(MALFORMED, 50014, 50015, 50016, 50024, 50028, 51000, 51003, 51004, 51005, 51006),
        **rows(MALFORMED, 51010, 51025, 51031, 51046, 51047, 51051, 51101, 51102, 51103, 51104),
        **rows(MALFORMED, 51105, 51106, 51107, 51108, 51109, 51110, 51111, 51112, 51115, 51116),
        **rows(MALFORMED, 51117, 51121, 51122, 51124, 51125, 51126, 51128, 51136, 51137, 51138),
        **rows(MALFORMED, 51169, 51201, 51202, 51203, 51204, 51205, 51279, 51280, 51403, 51404),
    },
)
