"""What a person reads about a bot's status: what happened, what the bot does now, what to do.

Everything is translated lazily, so the engine and the API (English) and the pages (the reader's
language) use the same words.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from bots.lifecycle import Reason

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as Text
else:
    Text = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`what` happened, what the bot does `now`, and what you can do (`todo`)."""

    what: Text
    now: Text
    todo: Text

    def __str__(self) -> str:
        return f"{self.what} {self.now} {self.todo}".strip()


RETRIES = _("The bot tries again by itself and places no order until then.")
SWITCHED_OFF = _("The bot switched itself off.")
UNTIL_MIDNIGHT = _("It opens nothing until the trading day ends, then goes on by itself.")
NOTHING = _("You need not do anything.")


def _waits(what: Text, todo: Text = NOTHING) -> Explanation:
    return Explanation(what=what, now=RETRIES, todo=todo)


def _off(what: Text, todo: Text) -> Explanation:
    return Explanation(what=what, now=SWITCHED_OFF, todo=todo)


def _pauses(what: Text) -> Explanation:
    todo = _("To go on today, change the limit and start the bot.")
    return Explanation(what=what, now=UNTIL_MIDNIGHT, todo=todo)


def _stopped(what: Text) -> Explanation:
    return Explanation(what=what, now=_("It opens nothing."), todo=_("Start it when you want."))


EXPLANATIONS: dict[Reason, Explanation] = {
    Reason.NETWORK: _waits(
        _("The exchange could not be reached, or did not answer in time."),
        _("If it lasts, check this machine's network and the exchange's status page."),
    ),
    Reason.MAINTENANCE: _waits(_("The exchange is in maintenance.")),
    Reason.RATE_LIMIT: _waits(
        _("The exchange asked us to slow down."),
        _("If it happens often, let your bots check less often."),
    ),
    Reason.BAD_ANSWER: _waits(
        _("The exchange answered something that cannot be read."),
        _("If it lasts, a proxy or a block may stand in between: tell the operator."),
    ),
    Reason.STALE_DATA: _waits(
        _("The exchange sends no fresh candles for this market."),
        _("If it lasts, see whether the market still trades."),
    ),
    Reason.BROKEN_DATA: _waits(
        _("The price data has gaps or impossible values. No price is ever made up."),
    ),
    Reason.MARKET_HALTED: _waits(
        _("The exchange has halted trading in this market."),
        _("If it stays halted, stop the bot and choose another market."),
    ),
    Reason.MARKET_UNKNOWN: _waits(
        _("The exchange does not list this market (any more)."),
        _("Check the spelling of the symbol. If it was delisted, stop the bot."),
    ),
    Reason.CLOCK: _waits(
        _("The clock of this machine and that of the exchange disagree."),
        _("The operator should switch on time synchronisation."),
    ),
    Reason.INSUFFICIENT_FUNDS: _waits(
        _("The account has not enough free funds for the position size."),
        _("Add funds, or make the position size smaller."),
    ),
    Reason.BELOW_MINIMUM: _waits(
        _("The order would be smaller than this market allows, or could not be sold at its stop."),
        _("Make the position size larger. The bot never raises it by itself."),
    ),
    Reason.ORDER_REJECTED: _waits(
        _("The exchange rejected the order: nothing was traded."),
        _("Read the exchange's own words below and change the settings they name."),
    ),
    Reason.ORDER_UNKNOWN: Explanation(
        what=_("The exchange did not say what became of an order."),
        now=_("The bot keeps asking and sends no other order until it knows."),
        todo=_("If it lasts, look the order up at the exchange."),
    ),
    Reason.INTERNAL: _waits(
        _("Something unexpected failed inside the bot."),
        _("If it lasts, show the details below to the operator."),
    ),
    Reason.MAX_DAILY_TRADES: _pauses(_("The bot opened as many positions as you allow in a day.")),
    Reason.MAX_DAILY_LOSS: _pauses(_("The bot reached the loss that you allow in a day.")),
    Reason.DAILY_TARGET: _pauses(_("The bot reached your profit target for the day.")),
    Reason.ACCOUNT_DAILY_LOSS: _pauses(
        _("The bots of this account reached the loss that you allow it in a day.")
    ),
    Reason.API_KEY_MISSING: _off(
        _("The account of this bot has no api key."),
        _("Add a key for this account, then start the bot."),
    ),
    Reason.API_KEY_DECRYPT_FAILED: _off(
        _("The stored api key cannot be decrypted on this machine."),
        _("Enter the key again, or let the operator bring back the old FERNET_KEYS."),
    ),
    Reason.API_KEY_INVALID: _off(
        _("The exchange refused the api key."),
        _("Check at the exchange that the key exists and may be used from this address."),
    ),
    Reason.API_KEY_RIGHTS: _off(
        _("The api key has the wrong rights: it must trade and must not withdraw."),
        _("Change its rights at the exchange, or make a new key and enter it here."),
    ),
    Reason.CLIENT_INIT_FAILED: _off(
        _("The connection to the exchange could not be set up."),
        _("Check the exchange and the mode in the bot's settings."),
    ),
    Reason.UNKNOWN_STRATEGY: _off(
        _("The bot's strategy does not exist in this installation."),
        _("Have its package installed, or choose another strategy; then start the bot."),
    ),
    Reason.BAD_SETTINGS: _off(
        _("The bot's settings are not valid any more."),
        _("Open the settings, correct the marked fields and start the bot."),
    ),
    Reason.OWNER_INACTIVE: _off(
        _("The owner of this bot is deactivated."),
        _("The operator can activate the owner again."),
    ),
    Reason.LIVE_DISABLED: _off(
        _("Live trading is switched off in this installation."),
        _("The operator can allow it with LIVE_TRADING_ENABLED."),
    ),
    Reason.MAX_DRAWDOWN: _off(
        _("The bot lost as much since its best moment as you allow."),
        _("Look at its trades; when you start it again, it counts from there."),
    ),
    Reason.RESTORED: _off(
        _("The database was restored from a backup: what happened since is not known here."),
        _("The operator compares with the exchanges and confirms; then start the bot."),
    ),
    Reason.RECONCILE: _off(
        _("What the exchange holds and what this bot's fills say do not agree."),
        _("Compare both sides on the bot's page and choose what is true."),
    ),
    Reason.BY_OWNER: _stopped(_("You stopped this bot.")),
    Reason.BY_OPERATOR: _stopped(_("An operator stopped this bot.")),
    Reason.HALT: _stopped(_("All bots were halted.")),
    Reason.DAILY_RESET: Explanation(
        what=_("The trading day ended: counters are back at zero."),
        now=_("If the bot was on, its next tick goes on."),
        todo=NOTHING,
    ),
}


CHECKED_AGAIN = _("The key is checked again by itself.")
#: What the check of a key says: there is no bot that does anything now.
KEYS: dict[Reason, tuple[Text, Text]] = {
    Reason.API_KEY_MISSING: (_("The key was deleted."), _("Add a key for this account.")),
    Reason.API_KEY_DECRYPT_FAILED: (
        EXPLANATIONS[Reason.API_KEY_DECRYPT_FAILED].what,
        EXPLANATIONS[Reason.API_KEY_DECRYPT_FAILED].todo,
    ),
    Reason.API_KEY_INVALID: (
        EXPLANATIONS[Reason.API_KEY_INVALID].what,
        EXPLANATIONS[Reason.API_KEY_INVALID].todo,
    ),
    Reason.API_KEY_RIGHTS: (
        EXPLANATIONS[Reason.API_KEY_RIGHTS].what,
        EXPLANATIONS[Reason.API_KEY_RIGHTS].todo,
    ),
    Reason.CLIENT_INIT_FAILED: (
        EXPLANATIONS[Reason.CLIENT_INIT_FAILED].what,
        _("Check the exchange and the mode of the key."),
    ),
    Reason.INTERNAL: (_("The check of the key failed unexpectedly."), CHECKED_AGAIN),
}


def about_key(fault: str) -> str:
    """Return what the check of a key found and what to do; "" without a fault.

    `fault` is the value of a trading.exchange.Fault; the text is in the active language.
    """
    if not fault:
        return ""
    reason = Reason(fault)
    what, todo = KEYS.get(reason) or (EXPLANATIONS[reason].what, CHECKED_AGAIN)
    return f"{what} {todo}"


def explain(reason: str) -> Explanation | None:
    """Return the explanation of a lifecycle.Reason, or None where there is nothing to explain."""
    return EXPLANATIONS.get(Reason(reason))
