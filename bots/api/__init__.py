"""The API, version 1: `api.urls` is mounted at /api/v1/. Each endpoint is a door to one verb."""

from bots.api.access import access
from bots.api.accounts import router as accounts
from bots.api.activity import router as activity
from bots.api.alerts import router as alerts
from bots.api.backtests import router as backtests
from bots.api.bots import router as bots
from bots.api.bulk import router as bulk
from bots.api.candles import router as candles
from bots.api.configs import router as configs
from bots.api.decisions import router as decisions
from bots.api.errors import install
from bots.api.expectation import router as expectation
from bots.api.keys import router as keys
from bots.api.portable import router as portable
from bots.api.site import Api
from bots.api.states import router as states
from bots.api.throttle import PerUser
from bots.api.transfers import router as transfers

__all__ = ["api"]

api = Api(
    title="Botsite API",
    version="1",
    description=(
        "Bearer tokens carry scopes: read, trade, keys, live. Decimals are strings in answers; "
        "numbers are understood too. Times are ISO 8601 in UTC."
    ),
    auth=access("read"),
    throttle=PerUser(),
)
install(api)
# Before /bots/{id}/...: its name is no id.
api.add_router("/bots", bulk, tags=["bots"])
api.add_router("/activity", activity, tags=["activity"])
api.add_router("/alerts", alerts, tags=["alerts"])
api.add_router("/backtests", backtests, tags=["backtests"])
api.add_router("/bots", bots, tags=["bots"])
api.add_router("/bots", decisions, tags=["bots"])
api.add_router("/bots", candles, tags=["bots"])
api.add_router("/bots", expectation, tags=["bots"])
# Before /bot-configs/{id}: its names are no ids.
api.add_router("/bot-configs", portable, tags=["bot-configs"])
api.add_router("/bot-configs", configs, tags=["bot-configs"])
api.add_router("/bot-states", states, tags=["bot-states"])
api.add_router("/api-keys", keys, tags=["api-keys"])
api.add_router("/accounts", accounts, tags=["accounts"])
api.add_router("/accounts", transfers, tags=["accounts"])
