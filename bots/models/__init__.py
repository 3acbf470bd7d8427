"""What a user owns, one noun a file."""

from bots.models.access import AccessEvent
from bots.models.account import Account, ApiKey, Balance, Comparison, KeyEvent, User
from bots.models.alert import Alert, AlertChannel, AlertDelivery, AlertScan, AlertSettings
from bots.models.backtest import BacktestData, BacktestRun
from bots.models.bot import BotConfig
from bots.models.candles import StoredCandles
from bots.models.command import Command
from bots.models.days import DayStats, Funding
from bots.models.decision import Decision, DecisionCandles
from bots.models.event import StateEvent
from bots.models.hook import Hook, SignalIn
from bots.models.ledger import Fill, Order
from bots.models.measures import Gauge, Inspection, TickTimes
from bots.models.operations import Heartbeat, Installation, Market, Silence
from bots.models.paper import PaperBalance, PaperOrder
from bots.models.state import BotState, Outpaced
from bots.models.template import BotTemplate
from bots.models.token import ApiToken
from bots.models.transfers import Transfer
from bots.models.watch import Watch

__all__ = [
    "AccessEvent",
    "Account",
    "Alert",
    "AlertChannel",
    "AlertDelivery",
    "AlertScan",
    "AlertSettings",
    "ApiKey",
    "ApiToken",
    "BacktestData",
    "BacktestRun",
    "Balance",
    "BotConfig",
    "BotState",
    "BotTemplate",
    "Command",
    "Comparison",
    "DayStats",
    "Decision",
    "DecisionCandles",
    "Fill",
    "Funding",
    "Gauge",
    "Heartbeat",
    "Hook",
    "Inspection",
    "Installation",
    "KeyEvent",
    "Market",
    "Order",
    "Outpaced",
    "PaperBalance",
    "PaperOrder",
    "SignalIn",
    "Silence",
    "StateEvent",
    "StoredCandles",
    "TickTimes",
    "Transfer",
    "User",
    "Watch",
]
