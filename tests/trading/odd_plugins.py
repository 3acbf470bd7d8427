"""Strategies as other packages bring them: one that is sound, and many that are not."""

from decimal import Decimal
from typing import Any

from trading.ladder import Drawn, Ground, Rung
from trading.market import Candles, Side
from trading.strategies import Action, Message, Param, ParamErrors, Signal, Values


class Good:
    """Buys on a close above `level`; each of the others breaks one thing."""

    name = "odd"
    label = "Odd"
    help = "Buys above a level."
    params: Any = (
        Param(name="level", type="decimal", default="5", label="Level", help="Where it buys."),
        Param(
            name="count",
            type="int",
            default=3,
            minimum=Decimal(1),
            label="Count",
            help="How many candles it waits for.",
        ),
    )
    reasons: Any = {"odd.buy": "Above the level.", "odd.none": "Not above the level."}

    def check(self, values: Values) -> None:
        if values["level"] == "1":
            raise ParamErrors({"level": Message("Not %(it)s.", it="1")})
        if values["level"] == "2":
            raise ParamErrors({"level": "100 % wrong"})  # type: ignore[dict-item]
        if values["level"] == "3":
            raise ZeroDivisionError

    def window(self, values: Values) -> int:
        return int(values["count"])

    def signal(self, candles: Candles, values: Values) -> Any:
        if len(candles) == int(values["count"]) and candles.close[-1] > float(values["level"]):
            return Signal(action=Action.BUY, why="odd.buy", numbers={"close": "9"})
        return Signal(action=Action.NONE, why="odd.none")


ready = Good()


class Misnamed(Good):
    name = "even"


class Nameless:
    pass


class Mute(Good):
    label = ""


class Doorless(Good):
    signal: Any = None


class Reasonless(Good):
    reasons = {}


class Stray(Good):
    reasons = {"macd.buy": "Another's reason."}


class ListOfParams(Good):
    params = [*Good.params]


class Twins(Good):
    params = (*Good.params, Good.params[0])


class WrongType(Good):
    params = (Param(name="x", type="float", default="1", label="X", help="X."),)  # type: ignore[arg-type]


class Unhelpful(Good):
    params = (Param(name="x", type="int", default=1, label="X", help=""),)


class OutOfRange(Good):
    params = (
        Param(name="x", type="int", default=1, minimum=Decimal(2), label="X", help="A number."),
    )


class Greedy(Good):
    def window(self, values: Values) -> int:
        return 5_001


class Fragile(Good):
    def signal(self, candles: Candles, values: Values) -> Any:
        return candles.close[-1]


class Vague(Good):
    def signal(self, candles: Candles, values: Values) -> Any:
        return "buy"


class Unbuildable(Good):
    def __init__(self) -> None:
        raise RuntimeError("no licence")


class Quits(Good):
    def __init__(self) -> None:
        raise SystemExit(3)


class Halfway(Good):
    """A ladder that does not say how much it takes."""

    sells = False

    def rungs(self, ground: Ground, values: Values) -> Any:
        return Drawn()


class Steps(Good):
    """A ladder: buys 10 and 20 below the price of a position. `answer` is said instead."""

    sells = False
    answer: Any = None

    def most(self, values: Values) -> Decimal:
        return Decimal(3)

    def rungs(self, ground: Ground, values: Values) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        first = ground.position.entry_price
        if self.answer is not None or first is None:
            return self.answer or Drawn()
        return Drawn(rungs=tuple(step(level, first - 10 * level) for level in (1, 2)))


class Crooked(Steps):
    answer = "ladder"


def step(level: int, price: Decimal, side: Side = Side.BUY) -> Rung:
    return Rung(level=level, side=side, price=price, amount=Decimal(1))


class Moody(Good):
    """Sound while it is loaded; `mood` is what it does at work."""

    mood: Any = None

    def window(self, values: Values) -> Any:
        return self.mood["window"] if self.mood and "window" in self.mood else 3

    def signal(self, candles: Candles, values: Values) -> Any:
        if not self.mood or "signal" not in self.mood:
            return super().signal(candles, values)
        answer = self.mood["signal"]
        if isinstance(answer, BaseException):
            raise answer
        return answer
