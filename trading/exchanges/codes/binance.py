"""Binance's codes (developers.binance.com, "Error codes"): every one that ccxt's tables know.

The same number means one thing on spot (host api, which serves withdrawals and margin loans too)
and another on USDT-M futures (host fapi): two tables over a common one. What a futures account may
not do any more but reduce is a no to this order, not to the key: exits still work.
"""

from collections.abc import Mapping

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
    Code,
    Table,
    Verdict,
    rows,
)

# fmt: off
COMMON: Mapping[Code, Verdict] = {
    **rows(MALFORMED, *range(-1199, -1099)),  # -11xx are all about the request
    # Unknown error, disconnected, busy, unexpected answer, timeout, overloaded, shutting down.
    **rows(UNCERTAIN, -1000, -1001, -1004, -1006, -1007, -1008, -1016),
    **rows(LIMITED, -1003, -1015),  # too many requests; too many new orders: concerns the account
    **rows(LATE, -1021),
    # An address that is not on the key's list, a signature that does not fit the secret, no key.
    **rows(BAD_KEY, -1005, -1022, -1099, -2008, -2014, -2015),
    **rows(NO_RIGHT, -1002, -1011, -1109),
    **rows(NO_MARKET, -1121, -1126),
    **rows(HALTED, -1122),
    **rows(NO_ORDER, -2011, -2013),
    # A filter or the matching engine said no: the message says why.
    **rows(MALFORMED, -1010, -1013, -1014, -1020, -1023, -2010),
}
ON_SPOT: Mapping[Code, Verdict] = {
    **rows(UNCERTAIN, -3000, -3007, -3029, -3037, -3044, -4027, -4031, -4037, -4038, -4041, -4045),
    **rows(UNCERTAIN, -4060, -5010, -5012, -10001, -10015, -10016, -10023, -10025, -10032, -10041),
    **rows(UNCERTAIN, -21006, -21007),
    # -2021, -2022: of a cancellation and its replacement one or both went wrong. -40xx to -41xx
    # are of futures and have no meaning on this host.
    **rows(UNBELIEVABLE, -2021, -2022, -4000, -4009, -4020, -4030, -6013, -10005, -21003),
    **rows(UNBELIEVABLE, *range(-4059, -4047), *range(-4099, -4060), *range(-4150, -4100)),
    **rows(LIMITED, -4005, -6009, -12014),
    **rows(BAD_KEY, 200003903, 100001003, -3001, -4004, -4013, -4046),
    **rows(NO_RIGHT, -3014, -3018, -3019, -3022, -3036, -3043, -3999, -4007, -4008, -4010, -4012),
    **rows(NO_RIGHT, -4015, -4016, -4017, -4035, -4036, -4039, -4044, -6003, -6017, -10047),
    **rows(NO_RIGHT, -13003, -13007, -18005),
    **rows(NO_MARKET, -3002, -3027, -3028, -4018, -5009, -6001, -10042),
    **rows(HALTED, -2016),
    # Cancelled or expired more than 90 days ago, with nothing filled.
    **rows(NO_ORDER, -2026),
    **rows(NO_FUNDS, -3041, -4024, -4025, -4026, -5002, -5003, -5013, -6012, -6018),
    **rows(NO_FUNDS, -10011, -10013, -21005),
    **rows(MALFORMED, 400002, -3003, -3004, -3005, -3006, -3008, -3009, -3010, -3011, -3012),
    **rows(MALFORMED, -3013, -3015, -3016, -3017, -3020, -3021, -3023, -3024, -3025, -3026, -3038),
    **rows(MALFORMED, -3042, -3045, -4001, -4002, -4003, -4006, -4011, -4014, -4019, -4021, -4022),
    **rows(MALFORMED, -4023, -4028, -4029, -4032, -4033, -4034, -4040, -4042, -4043, -4047, -5001),
    **rows(MALFORMED, -5004, -5005, -5006, -5007, -5008, -5011, -5021, -5022, -6004, -6005, -6006),
    **rows(MALFORMED, -6007, -6008, -6011, -6014, -6015, -6016, -6019, -6020, -7001, -7002, -10002),
    **rows(MALFORMED, -10007, -10008, -10009, -10010, -10012, -10017, -10018, -10019, -10020),
    **rows(MALFORMED, -10021, -10022, -10024, -10026, -10028, -10029, -10030, -10031, -10034),
    **rows(MALFORMED, -10039, -10040, -10043, -10044, -10045, -10046, -11008, -13000, -13001),
    **rows(MALFORMED, -13002, -13004, -13005, -13006, -18002, -18003, -18004, -18006, -18007),
    **rows(MALFORMED, -21001, -21002, -21004, -32603),
}
ON_FUTURES: Mapping[Code, Verdict] = {
    **rows(UNCERTAIN, -2012, -3029, -4078, -4083),
    # Of options, without a meaning on this host.
    **rows(UNBELIEVABLE, *range(-4043, -4033), *range(-4103, -4090), *range(-4109, -4104)),
    **rows(UNBELIEVABLE, -4119, *range(-4130, -4120), -4132, -4133, -4134, -4143),
    **rows(UNBELIEVABLE, *range(-4149, -4144)),
    # The id is ours and was sent once: an order of that name is there, so it has to be looked up.
    **rows(UNBELIEVABLE, -4115, -4116),
    **rows(LATE, -5028),  # outside the matching engine's receive window
    **rows(BAD_KEY, -4056, -4057),
    **rows(NO_RIGHT, -2017, -4402),  # keys locked; not available in the region
    **rows(NO_MARKET, -4144, -20121),
    **rows(HALTED, -2016, -4140, -4141),
    **rows(NO_FUNDS, -2018, -2019, -2028, -4050, -4051),
    **rows(TOO_SMALL, -4003, -4004, -4164),
    **rows(SO_ALREADY, -4046, -4059, -4171),
    # -2021 would trigger at once, -2022 reduce-only rejected, -2023 in liquidation, -2027 beyond
    # the leverage's largest position, -5022 not as a maker.
    **rows(MALFORMED, -2020, -2021, -2022, -2023, -2024, -2025, -2026, -2027, -4000, -4001, -4002),
    **rows(MALFORMED, *range(-4033, -4004), -4044, -4045, -4047, -4048, -4049, -4052, -4053, -4054),
    **rows(MALFORMED, -4055, -4058, *range(-4077, -4059), -4079, -4080, -4081, -4082, -4084, -4085),
    **rows(MALFORMED, -4086, -4087, -4088, -4089, -4090, -4104, -4110, -4111, -4112, -4113, -4114),
    **rows(MALFORMED, -4117, -4118, -4120, -4131, -4135, -4136, -4137, -4138, -4139, -4142, -4150),
    **rows(MALFORMED, -4151, -4152, -4154, -4155, -4161, -4165, -4167, -4168, -4169, -4170, -4172),
    **rows(MALFORMED, -4178, -4183, -4184, -4188, -4192, -4194, -4195, -4196, -4197, -4198, -4199),
    **rows(MALFORMED, -4200, -4201, -4202, -4203, -4205, -4206, -4208, -4209, -4210, -4211, -4400),
    **rows(MALFORMED, -4401, -4403, -4408, -4531, -5021, -5022, -5024, -5025, -5026, -5027, -5037),
    **rows(MALFORMED, -5038, -5039, -5040, -5041, -5047, -20124, -20130, -20132, -20194, -20195),
    **rows(MALFORMED, -20196, -20198, -20204),
}
# fmt: on

MESSAGES: tuple[tuple[str, Verdict], ...] = (
    ("insufficient balance", NO_FUNDS),
    # As -4116 of futures.
    ("duplicate order sent", UNBELIEVABLE),
    ("market is closed", HALTED),
    ("notional", TOO_SMALL),
    ("disabled on this account", NO_RIGHT),
    ("trading is not enabled", NO_RIGHT),
    ("this account may not place or cancel orders", NO_RIGHT),
    ("symbol is not permitted for this account", NO_RIGHT),
    ("symbol is restricted for this account", NO_RIGHT),
    ("you don't have permission", NO_RIGHT),
    ("not authorized to execute this request", NO_RIGHT),
    ("has no operation privilege", NO_RIGHT),
    ("api key does not exist", BAD_KEY),
    ("system is under maintenance", UNCERTAIN),
    ("system abnormality", UNCERTAIN),
    ("too many requests", LIMITED),
    ("limit orders require gtc for this phase", HALTED),
    ("would trigger immediately", MALFORMED),
    ("would immediately match and take", MALFORMED),
    ("exceeds the maximum number limit", MALFORMED),
    ("max_position", MALFORMED),
    ("percent_price_by_side", MALFORMED),
    ("this order type is not possible", MALFORMED),
)


def _table(more: Mapping[Code, Verdict]) -> Table:
    return Table(
        rows={**COMMON, **more},
        messages=MESSAGES,
        explained=frozenset({-1010, -1013, -2010}),
        account_limits=frozenset({-1015}),
        is_complete=True,
    )


SPOT = _table(ON_SPOT)
FUTURES = _table(ON_FUTURES)
