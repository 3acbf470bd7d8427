"""Start or stop of many bots: what it would mean for each, and doing it to each by itself.

The verbs are those of bots.control; nothing here spans two bots, neither a transaction nor a
failure.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from django.db import OperationalError
from django.db.models import QuerySet, TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bots import control, schedule
from bots.lifecycle import Duty, Mode, PositionType, Status, WindDown
from bots.models import BotConfig, BotState, Outpaced, User

log = logging.getLogger(__name__)
#: As many as one request does one after the other.
MOST = 500
#: Nothing is wrong but the moment: the row or the database was taken.
BUSY = (Outpaced, OperationalError)


class Act(TextChoices):
    """What is asked of many bots at once; the stops by what becomes of positions."""

    START = "start", gettext_lazy("Start")
    LEAVE = WindDown.LEAVE.value, gettext_lazy("Stop and leave the positions")
    CLOSE = WindDown.CLOSE.value, gettext_lazy("Stop and close the positions")
    AFTER_EXIT = WindDown.AFTER_EXIT.value, gettext_lazy("Stop after the next exit")


class Fate(TextChoices):
    """What an act means for one bot as it stands now."""

    STARTS = "starts", gettext_lazy("starts")
    RUNS = "runs", gettext_lazy("runs already")
    REFUSED = "refused", gettext_lazy("refused")
    STOPS = "stops", gettext_lazy("stops")
    RESTS = "rests", gettext_lazy("does not run")


#: The bot stays as it is.
IDLE = frozenset({Fate.RUNS, Fate.RESTS, Fate.REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What an act would mean for a bot. `why`: the words of a refusal.

    `is_keyless`: it would start, and its first tick would switch it off, as it has no key.
    """

    bot: BotConfig
    fate: Fate
    why: str = ""
    is_keyless: bool = False

    @property
    def acts(self) -> bool:
        """Whether the bot would change."""
        return self.fate not in IDLE

    @property
    def holds(self) -> bool:
        """Whether the bot has an open position."""
        state = self.bot.state_or_none
        return bool(state and state.in_position)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one bot. `failed`: it should have changed and did not; `text` says why."""

    bot: BotConfig
    done: bool
    failed: bool
    text: str


def chosen(owner: User, ids: Collection[int]) -> QuerySet[BotConfig]:
    """Return those of the owner's own bots, by name, with all that an act asks about them."""
    bots: QuerySet[BotConfig] = owner.bots.alive().filter(pk__in=ids)
    return bots.select_related("state", "owner", "account__key").order_by("name", "pk")


def foresee(bots: Iterable[BotConfig], act: Act) -> list[Foreseen]:
    """Return what `act` would mean for each bot now (from `chosen`): one more query at most."""
    rows = list(bots)
    if act != Act.START:
        return [Foreseen(bot=bot, fate=_fate_of_stop(bot.state_or_none, act)) for bot in rows]
    return list(_starts(rows, _taken_markets(rows)))


def _fate_of_stop(state: BotState | None, act: Act) -> Fate:
    if state is None:
        return Fate.RESTS
    # A bot that its daily limit paused would go on by itself when the day ends.
    is_on = state.duty == Duty.TRADE or state.status == Status.PAUSED
    if state.duty == Duty.EXIT:
        is_on = state.wind_down != act
    closes_what_was_left = state.in_position and state.duty == Duty.NONE and act != Act.LEAVE
    return Fate.STOPS if is_on or closes_what_was_left else Fate.RESTS


def _starts(
    bots: Iterable[BotConfig], taken: dict[tuple[int, str], BotConfig]
) -> Iterator[Foreseen]:
    for bot in bots:
        state = bot.state_or_none
        held_up = (Status.STOPPED, Status.ERROR)
        if state and state.duty == Duty.TRADE and state.status not in held_up:
            yield Foreseen(bot=bot, fate=Fate.RUNS)
            continue
        try:
            control.check_may_start(bot)
        except control.Refusal as refusal:
            yield Foreseen(bot=bot, fate=Fate.REFUSED, why=refusal.message)
            continue
        market = (bot.account_id or 0, bot.symbol)
        if bot.position_type == PositionType.FUTURES and bot.account_id:
            other = taken.setdefault(market, bot)
            if other.pk != bot.pk:
                yield Foreseen(bot=bot, fate=Fate.REFUSED, why=control.taken_by(other))
                continue
        yield Foreseen(bot=bot, fate=Fate.STARTS, is_keyless=_is_keyless(bot))


def _is_keyless(bot: BotConfig) -> bool:
    return bot.mode != Mode.PAPER and getattr(bot.account, "key", None) is None


def _taken_markets(bots: Iterable[BotConfig]) -> dict[tuple[int, str], BotConfig]:
    """Return which bot has which futures market of the accounts of `bots`."""
    accounts = {b.account_id for b in bots if b.position_type == PositionType.FUTURES}
    if not accounts:
        return {}
    states = BotState.objects.filter(bot__account__in=accounts)
    states = states.exclude(duty=Duty.NONE, in_position=False).select_related("bot")
    return {(state.bot.account_id or 0, state.bot.symbol): state.bot for state in states}


def carry_out(
    owner: User, ids: Collection[int], act: Act, *, via: str, held: Collection[int] = ()
) -> list[Outcome]:
    """Do `act` to each of the owner's bots named, by itself, and tell what became of each.

    `held` are the ids of the bots that the owner knew to be in a position: one that opened a
    position since is not left alone with it unasked. Done again, it changes nothing.
    """
    rows = foresee(chosen(owner, ids), act)
    with schedule.together():
        return [_outcome(row, act, owner, via, held) for row in rows]


def _outcome(row: Foreseen, act: Act, by: User, via: str, held: Collection[int]) -> Outcome:
    if not row.acts:
        is_refused = row.fate == Fate.REFUSED
        text = row.why if is_refused else str(row.fate.label)
        return Outcome(bot=row.bot, done=False, failed=is_refused, text=text)
    if act == Act.LEAVE and row.holds and row.bot.pk not in held:
        text = _("It opened a position meanwhile: choose what becomes of it.")
        return Outcome(bot=row.bot, done=False, failed=True, text=text)
    return _do(row.bot, _verb(row.bot, act, by, via), row.fate)


def _verb(bot: BotConfig, act: Act, by: User, via: str) -> Callable[[], object]:
    if act == Act.START:
        return lambda: control.start(bot, by=by, via=via)
    return lambda: control.stop(bot, by=by, via=via, position=act.value)


def _do(bot: BotConfig, verb: Callable[[], object], fate: Fate) -> Outcome:
    try:
        verb()
    except control.Refusal as refusal:
        return Outcome(bot=bot, done=False, failed=True, text=refusal.message)
    except BUSY as error:
        log.warning("busy: bot %s of many", bot.pk, exc_info=error)
        text = _("The site is busy. Try again.")
        return Outcome(bot=bot, done=False, failed=True, text=text)
    done = _("was started") if fate == Fate.STARTS else _("was stopped")
    return Outcome(bot=bot, done=True, failed=False, text=done)
