"""The addresses of the trader's pages. tests/pages/test_tenants.py lists each of them."""

from collections.abc import Callable

from django.http import HttpResponse
from django.urls import URLPattern, path

from bots.views import (
    actions,
    activity,
    bot,
    bulk,
    chart,
    dashboard,
    decisions,
    edit,
    first_steps,
    keys,
    markets,
    performance,
    portable,
    profile,
    status,
    templates,
    transfers,
)


def _csv(prefix: str, view: Callable[..., HttpResponse], name: str) -> list[URLPattern]:
    """Return the addresses of the files that can be saved: trades.csv, days.csv, fills.csv."""
    kinds = ("trades", "days", "fills")
    return [path(f"{prefix}{k}.csv", view, {"what": k}, name=f"{name}{k}-csv") for k in kinds]


urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("board/", dashboard.board, name="board"),
    path("first-steps/", first_steps.put_away, name="first-steps"),
    path("halt/", dashboard.halt, name="halt"),
    path("bots/new/", edit.create, name="bot-new"),
    path("bots/check/", edit.check, name="bot-check"),
    path("bots/bulk/", bulk.bulk, name="bots-bulk"),
    path("bots/import/", portable.import_, name="bots-import"),
    path("bots/bots.json", portable.export_bots, name="bots-export"),
    path("bots/<int:pk>/", bot.detail, name="bot"),
    path("bots/<int:pk>/panel/", bot.panel, name="bot-panel"),
    path("bots/<int:pk>/candles/", chart.candles, name="bot-candles"),
    path("bots/<int:pk>/start/", actions.start, name="bot-start"),
    path("bots/<int:pk>/stop/", actions.stop, name="bot-stop"),
    path("bots/<int:pk>/enter/", actions.enter, name="bot-enter"),
    path("bots/<int:pk>/exit/", actions.leave, name="bot-exit"),
    path("bots/<int:pk>/cancel/", actions.cancel, name="bot-cancel"),
    path("bots/<int:pk>/reconcile/", actions.compare, name="bot-reconcile"),
    path("bots/<int:pk>/accept/", actions.accept, name="bot-accept"),
    path("bots/<int:pk>/settings/", edit.edit, name="bot-settings"),
    path("bots/<int:pk>/delete/", actions.delete, name="bot-delete"),
    path("bots/<int:pk>/bot.json", portable.export_bot, name="bot-export"),
    path("bots/<int:pk>/template/", templates.keep, name="bot-template"),
    path("templates/", templates.templates, name="templates"),
    path("templates/templates.json", portable.export_templates, name="templates-export"),
    path("templates/<int:pk>/template.json", portable.export_template, name="template-export"),
    path("templates/<int:pk>/rename/", templates.rename, name="template-rename"),
    path("templates/<int:pk>/delete/", templates.delete, name="template-delete"),
    path("bots/<int:pk>/decisions/", bot.decisions, name="bot-decisions"),
    path("bots/<int:pk>/decisions/<int:number>/", decisions.decision, name="bot-decision"),
    path("bots/<int:pk>/orders/", bot.orders, name="bot-orders"),
    path("bots/<int:pk>/fills/", bot.fills, name="bot-fills"),
    path("bots/<int:pk>/events/", bot.events, name="bot-events"),
    path("bots/<int:pk>/days/", bot.days, name="bot-days"),
    path("bots/<int:pk>/performance/", performance.of_bot, name="bot-performance"),
    *_csv("bots/<int:pk>/performance/", performance.bot_export, "bot-"),
    path("performance/", performance.overview, name="performance"),
    path("performance/fills/", performance.fills, name="performance-fills"),
    *_csv("performance/", performance.export, "performance-"),
    path("activity/", activity.activity, name="activity"),
    path("activity/rows/", activity.rows, name="activity-rows"),
    path("activity.csv", activity.export, name="activity-csv"),
    path("markets/", markets.index, name="markets"),
    path("markets/suggest/", markets.suggest, name="market-suggest"),
    path("markets/<int:pk>/", markets.detail, name="market"),
    path("markets/<int:pk>/watch/", markets.watch, name="market-watch"),
    path("keys/", keys.keys, name="keys"),
    path("keys/<int:pk>/delete/", keys.key_delete, name="key-delete"),
    path("keys/<int:pk>/limits/", keys.limits, name="account-limits"),
    path("keys/<int:pk>/transfer/", transfers.transfer, name="account-transfer"),
    path("transfers/<int:pk>/close/", transfers.transfer_close, name="transfer-close"),
    path("profile/", profile.profile, name="profile"),
    path("profile/tokens/", profile.token_create, name="token-create"),
    path("profile/tokens/<int:pk>/revoke/", profile.token_revoke, name="token-revoke"),
    path("language/", profile.language, name="language"),
    path("help/", profile.help_page, name="help"),
    path("status/", status.status, name="status"),
]
