"""What a strategy declares and answers. Form, API and validation come from the declaration.

Texts are marked by `gettext_noop`, a keyword that makemessages looks for; the side that shows
them translates them. This package knows no language.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from trading.market import Candles, Side

if TYPE_CHECKING:
    from trading.ladder import Drawn, Ground

#: A parameter's value as JSON holds it. Decimals are text: JSON's numbers would round them.
Value = int | str | bool
Values = Mapping[str, Value]

LONGEST = 40  # characters of a number; more is nonsense, and int() of megabytes takes minutes
INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")


def gettext_noop(text: str) -> str:
    """Mark `text` for translation and return it as it is."""
    return text


class Message(str):
    """A message in English that remembers its msgid, so that another language can show it.

    `gettext(message.msgid) % message.params` is the translation.
    """

    msgid: str
    params: Mapping[str, str]

    def __new__(cls, msgid: str, **params: str) -> "Message":
        message = super().__new__(cls, msgid % params if params else msgid)
        message.msgid = msgid
        message.params = params
        return message


class ParamErrors(ValueError):
    """What is wrong with a strategy's parameters; `errors`: parameter name -> message."""

    def __init__(self, errors: Mapping[str, Message]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors: dict[str, Message] = dict(errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One parameter. `choices` are pairs (value, label); labels and help are English msgids.

    `minimum` and `maximum` are allowed values themselves; a number has to be a multiple of
    `step` (whole numbers without one: of 1).
    """

    name: str
    type: Literal["int", "decimal", "bool", "choice"]
    default: Value
    label: str
    help: str
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    step: Decimal | None = None
    choices: tuple[tuple[str, str], ...] = ()

    def clean(self, raw: object) -> Value:
        """Return `raw` as this parameter's value, or raise ValueError(Message)."""
        return CLEANERS[self.type](self, raw)


class Action(StrEnum):
    BUY = "buy"
    SELL = "sell"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Why a strategy says what it says, and every number and limit that it compared for it.

    `why` is one of the strategy's `reasons`; `numbers` are text rounded to 8 significant digits.
    """

    why: str
    numbers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal(Answer):
    """What a strategy says of a window of candles: the action, why, and the numbers behind it.

    It knows no position, so it answers whoever asks: `buy` is for a bot that waits for nothing but
    a buy (it is flat and goes long, or it holds a short), `sell` for one that waits for a sell.
    Without one (None) the signal's own reason is told.
    """

    action: Action
    buy: Answer | None = None
    sell: Answer | None = None

    def to(self, side: Side | None) -> Answer:
        """Return the answer to a bot that waits for `side`; None: for either."""
        return {Side.BUY: self.buy, Side.SELL: self.sell, None: None}[side] or self


class Strategy(Protocol):
    """A pure rule from candles to a signal. `reasons`: each `why` it gives -> English msgid."""

    name: str
    label: str
    help: str
    params: tuple[Param, ...]
    reasons: Mapping[str, str]

    def check(self, values: Values) -> None:
        """Raise ParamErrors where cleaned values contradict each other."""
        ...

    def window(self, values: Values) -> int:
        """Return how many closed candles a signal is computed from."""
        ...

    def signal(self, candles: Candles, values: Values) -> Signal:
        """Judge the newest window of `candles`. Pure: same candles and values, same signal."""
        ...


@runtime_checkable
class HasLadder(Protocol):
    """A strategy of several limit orders that rest at once; spot and long only.

    `sells`: some of them sell, so that no stop can rest at the exchange for the same coins.
    """

    sells: bool

    def most(self, values: Values) -> Decimal:
        """Return how many times the position size all orders of the ladder are worth together."""
        ...

    def rungs(self, ground: "Ground", values: Values) -> "Drawn":
        """Return the limit orders that it wants to rest. Pure."""
        ...


def clean(strategy: Strategy, raw: Mapping[str, object]) -> dict[str, Value]:
    """Return all parameters of `strategy` as JSON-safe values, defaults filled in.

    Whole numbers may come as text. Decimals come out as plain text without trailing zeros, so
    that equal values are equal. Raises ParamErrors: wrong type, out of range, unknown name, or
    (when each value is fine) values that contradict each other.
    """
    known = {param.name: param for param in strategy.params}
    errors = {
        str(name): Message(gettext_noop("This strategy has no such parameter."))
        for name in raw
        if name not in known
    }
    values: dict[str, Value] = {}
    for name, param in known.items():
        try:
            values[name] = param.clean(raw[name]) if name in raw else param.default
        except ValueError as error:
            errors[name] = error.args[0]
    if errors:
        raise ParamErrors(errors)
    strategy.check(values)
    return values


def _clean_int(param: Param, raw: object) -> int:
    text = _number_text(raw)
    if not INTEGER.fullmatch(text):
        raise ValueError(Message(gettext_noop("Enter a whole number.")))
    return int(_within(param, Decimal(text)))


def _clean_decimal(param: Param, raw: object) -> str:
    text = _number_text(raw)
    if not NUMBER.fullmatch(text):
        raise ValueError(Message(gettext_noop("Enter a number.")))
    return plain(_within(param, Decimal(text)))


def _clean_bool(param: Param, raw: object) -> bool:
    if not isinstance(raw, bool):
        raise ValueError(Message(gettext_noop("Enter yes or no.")))
    return raw


def _clean_choice(param: Param, raw: object) -> str:
    if not isinstance(raw, str) or raw not in (value for value, _ in param.choices):
        raise ValueError(Message(gettext_noop("Select one of the choices.")))
    return raw


CLEANERS: Mapping[str, Callable[[Param, object], Value]] = {
    "int": _clean_int,
    "decimal": _clean_decimal,
    "bool": _clean_bool,
    "choice": _clean_choice,
}


def _number_text(raw: object) -> str:
    """Return a number or its text as digits without exponent, or "" if it is neither."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal | str):
        return ""
    if isinstance(raw, str):
        text = raw.strip()
        return text if len(text) <= LONGEST else ""
    value = Decimal(repr(raw)) if isinstance(raw, float) else Decimal(raw)
    if not value.is_finite() or abs(value.adjusted()) >= LONGEST:
        return ""
    return plain(value)


def _within(param: Param, value: Decimal) -> Decimal:
    if param.minimum is not None and value < param.minimum:
        text = gettext_noop("Must be at least %(minimum)s.")
        raise ValueError(Message(text, minimum=plain(param.minimum)))
    if param.maximum is not None and value > param.maximum:
        text = gettext_noop("Must be at most %(maximum)s.")
        raise ValueError(Message(text, maximum=plain(param.maximum)))
    if param.step and value.normalize() % param.step:
        text = gettext_noop("Must be a multiple of %(step)s.")
        raise ValueError(Message(text, step=plain(param.step)))
    return value


def plain(value: Decimal) -> str:
    """Return `value` without exponent and without trailing zeros."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "+0", "") else text
