"""A decision's inputs as text that can be read back: the same View, the same candles. Pure.

What equals its default is left out. `SCHEMA` names the shape of a View: a field that comes, goes
or has another type or default changes it, so that what an older shape wrote is known as such.
"""

import types
import zlib
from array import array
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from hashlib import blake2b
from typing import Any, Union, get_args, get_origin, get_type_hints

from trading.market import TIMEFRAMES, Candles
from trading.view import View

#: A field: its name, its default, and how it is written.
Writer = tuple[str, Any, Callable[[Any], Any]]
_known: dict[type, tuple[Writer, ...]] = {}
COLUMNS = ("open", "high", "low", "close", "volume")
#: A longer window is not kept: the longest that a strategy may ask for has 1,600.
MOST_CANDLES = 2000


def pack(view: View) -> dict[str, Any]:
    """Return what a View holds as JSON-safe values; numbers of money are text, digit by digit."""
    return _pack(view)


def unpack(data: Mapping[str, Any]) -> View:
    """Return the View that `pack` was given. ValueError, TypeError, KeyError: it was not ours."""
    found = _reader(View)(data)
    if not isinstance(found, View):
        raise TypeError("no View")
    return found


def plain(value: Decimal) -> str:
    """Return a Decimal as text without the zeros that a column pads it with.

    >>> plain(Decimal("1000.000000")), plain(Decimal("0E-18")), plain(Decimal("1E+3"))
    ('1000', '0', '1000')
    """
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


# -- writing --------------------------------------------------------------------------------------
def _pack(value: Any) -> dict[str, Any]:
    packed: dict[str, Any] = {}
    kind = type(value)
    writers = _known.get(kind) or _known.setdefault(kind, _writers(kind))
    for name, default, write in writers:
        one = getattr(value, name)
        if one != default:
            packed[name] = one if one is None else write(one)
    return packed


def _writers(kind: type) -> tuple[Writer, ...]:
    """Return (name, default, how to write it) for each field of a dataclass."""
    hints = get_type_hints(kind)
    return tuple((one.name, _default(one), _writer(hints[one.name])) for one in fields(kind))


def _default(one: "Field[Any]") -> Any:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return one.default


def _writer(hint: Any) -> Callable[[Any], Any]:
    kind = _inner(hint)
    if kind is Decimal:
        return plain
    if is_dataclass(kind):
        return _pack
    if get_origin(kind) is tuple:
        write = _writer(get_args(kind)[0])
        return list if write is _same else lambda values: [write(value) for value in values]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return str
    return dict if get_origin(kind) is not None else _same


def _same(value: Any) -> Any:
    return value


def _inner(hint: Any) -> Any:
    """Return T of `T | None`, else the hint itself."""
    if get_origin(hint) in (Union, types.UnionType):
        (found,) = (arg for arg in get_args(hint) if arg is not type(None))
        return found
    return hint


# -- reading --------------------------------------------------------------------------------------
@cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    kind = _inner(hint)
    if is_dataclass(kind) and isinstance(kind, type):
        return _reader_of(kind)
    if kind is Decimal or (isinstance(kind, type) and issubclass(kind, Enum)):
        return lambda data: None if data is None else kind(data)
    if get_origin(kind) is tuple:
        read = _reader(get_args(kind)[0])
        return tuple if read is _same else lambda data: tuple(read(value) for value in data)
    return dict if get_origin(kind) is not None else _same


def _reader_of(kind: type) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    readers = {one.name: _reader(hints[one.name]) for one in fields(kind)}

    def read(data: Any) -> Any:
        if data is None:
            return None
        return kind(**{name: readers[name](value) for name, value in data.items()})

    return read


def _shape(kind: type, seen: set[type]) -> str:
    """Describe a dataclass and all that it is made of."""
    seen.add(kind)
    hints, told = get_type_hints(kind), [kind.__name__]
    for one in fields(kind):
        inner = _inner(hints[one.name])
        if get_origin(inner) is tuple:
            inner = get_args(inner)[0]
        default = _default(one)
        told.append(f"{one.name}:{hints[one.name]}={'' if default is MISSING else repr(default)}")
        if is_dataclass(inner) and isinstance(inner, type) and inner not in seen:
            told.append(_shape(inner, seen))
    return ";".join(told)


def schema_of(kind: type) -> str:
    """Return a short name for the shape of a dataclass."""
    return blake2b(_shape(kind, set()).encode(), digest_size=4).hexdigest()


SCHEMA = schema_of(View)


# -- candles --------------------------------------------------------------------------------------
def digest(candles: Candles) -> str:
    """Return 32 hexadecimal digits that no other window of candles has."""
    head = f"{candles.symbol} {candles.timeframe} {candles.times}"
    found = blake2b(head.encode(), digest_size=16)
    for name in COLUMNS:
        found.update(array("d", getattr(candles, name)).tobytes())
    return found.hexdigest()


def pack_candles(candles: Candles) -> bytes | None:
    """Return the prices and volumes of a window, exact and compressed; None: too long, or gaps."""
    if len(candles) > MOST_CANDLES or candles.times != _times(candles, candles.times[0]):
        return None
    columns = (array("d", getattr(candles, name)).tobytes() for name in COLUMNS)
    return zlib.compress(b"".join(columns), 1)


def unpack_candles(data: bytes, *, symbol: str, timeframe: str, first: int) -> Candles:
    """Return the window that was packed; `first` is its first opening instant (Unix ms)."""
    numbers = array("d")
    numbers.frombytes(zlib.decompress(data))
    count, length = len(numbers) // len(COLUMNS), TIMEFRAMES[timeframe]
    columns = {
        name: tuple(numbers[at * count : (at + 1) * count]) for at, name in enumerate(COLUMNS)
    }
    times = tuple(range(first, first + count * length, length))
    return Candles(symbol=symbol, timeframe=timeframe, times=times, **columns)


def _times(candles: Candles, first: int) -> tuple[int, ...]:
    length = TIMEFRAMES[candles.timeframe]
    return tuple(range(first, first + len(candles) * length, length))
