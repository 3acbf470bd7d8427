"""Settings: read from the environment, then from `.env`; docs/settings.md names each of them.

Variables that are already in the environment win over `.env`. `ENV_FILE` names another file; when
it is empty no file is read.
"""

import os
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import django_stubs_ext
import environ
from django.utils.translation import gettext_lazy as _

from botsite import browser, database, doors, logs
from botsite.platform.redis import DEFAULT_URL, running_url

# Lets `ModelForm[User]` and `ModelAdmin[User]`, which the type checker asks for, run as well.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
ENV_FILE = os.environ.get("ENV_FILE", str(BASE_DIR / ".env"))
if ENV_FILE and Path(ENV_FILE).is_file():
    env.read_env(ENV_FILE, overwrite=False)

# -- Where we are ---------------------------------------------------------------------------------
DATA_DIR = BASE_DIR / env.str("DATA_DIR", default="data")
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY")
PORT = env.int("PORT", default=8000)
SITE_URL = env.str("SITE_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")
_site = urlsplit(SITE_URL)
HTTPS = _site.scheme == "https"
ALLOWED_HOSTS = [
    *env.list("ALLOWED_HOSTS", default=[_site.hostname] if _site.hostname else []),
    # The machine itself may always ask: health checks and the supervisor do.
    *("127.0.0.1", "localhost", "[::1]"),
]
CSRF_TRUSTED_ORIGINS = env.list(
    "CSRF_TRUSTED_ORIGINS", default=[f"{_site.scheme}://{_site.netloc}"]
)
# How many proxies in front of us add to X-Forwarded-For. 0: nobody believes that header.
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)

# -- Django ---------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "bots.apps.BotsConfig",
    "botsite.platform",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "axes",
    "csp",
    "django_celery_beat",
    "django_htmx",
    "ninja",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Pages too; it pads each at random, so that its length tells nothing of what is in it.
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "bots.middleware.ViewerMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "bots.middleware.SeenMiddleware",
    # Last, as axes asks: it turns a refused sign-in into its lock-out answer.
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "botsite.urls"
WSGI_APPLICATION = "botsite.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.template.context_processors.tz",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="en")
LANGUAGES = [("en", _("English")), ("tr", _("Turkish"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_SECURE = HTTPS
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# -- Database and cache ---------------------------------------------------------------------------
DATABASES = {
    "default": database.configure(
        env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR}/botsite.sqlite3"),
        data_dir=DATA_DIR,
        conn_max_age=env.int("CONN_MAX_AGE", default=60),
    )
}
# The cache counts sign-in attempts. In the database the counts hold across processes, and the site
# goes on when Redis does not.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "botsite_cache",
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}

# -- Static files ---------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [path for path in [BASE_DIR / "static"] if path.is_dir()]
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(DATA_DIR / "staticfiles")))
STATIC_MANIFEST = env.bool("STATIC_MANIFEST", default=not DEBUG)
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not STATIC_MANIFEST
_static_storage = (
    "whitenoise.storage.CompressedManifestStaticFilesStorage"
    if STATIC_MANIFEST
    else "django.contrib.staticfiles.storage.StaticFilesStorage"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _static_storage},
}

# -- Signing in -----------------------------------------------------------------------------------
AUTH_USER_MODEL = "bots.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
vars().update(doors.PASSWORDS)
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
SIGNUP_OPEN = env.bool("SIGNUP_OPEN", default=True)
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _site.scheme
# Per address; axes below counts each account at each address. One door: /admin/ uses this form too.
ACCOUNT_RATE_LIMITS = {
    "login": env.str("LOGIN_RATE", default="30/m/ip"),
    "login_failed": env.str("LOGIN_FAILED_RATE", default="20/m/ip,10/5m/key"),
    # Codes of one user's second factor: who knows the password could try a million in a year.
    "second_factor": "50/d/key",
}
# How long an answer holds that was asked for before keys and before real money, in seconds.
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
vars().update(doors.ALLAUTH, **doors.AXES)
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXY_COUNT
AXES_FAILURE_LIMIT = env.int("LOGIN_FAILURE_LIMIT", default=5)
AXES_COOLOFF_TIME = env.int("LOGIN_COOLOFF_MINUTES", default=15) / 60
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"botsite@{_site.hostname}")

# -- What the browser may do ----------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {"DIRECTIVES": browser.DIRECTIVES}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "bots.views.refused.csrf_failure"
SESSION_COOKIE_AGE = env.int("SESSION_DAYS", default=14) * 86_400
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
if HTTPS:
    # We serve plain HTTP, so an https site has a proxy in front that must set this header.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=30 * 86_400)
# Subdomains and browsers' preload lists are the owner's to decide, not ours.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# -- Secrets of the exchanges ---------------------------------------------------------------------
# The first key encrypts, all decrypt. No default, and never derived from SECRET_KEY.
FERNET_KEYS = env.list("FERNET_KEYS", default=[])
FERNET_USE_HKDF = False

# -- Celery ---------------------------------------------------------------------------------------
# A given REDIS_URL, else the server that runplatform keeps for this DATA_DIR, else the usual port.
REDIS_URL = env.str("REDIS_URL", default="") or running_url(DATA_DIR) or DEFAULT_URL
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT = "botsite.platform.broker:Transport"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "retry_on_timeout": False,
    # A nudge is worth one try: the schedule and the sweep bring the tick anyway.
    "max_retries": 0,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_DEFAULT_QUEUE = "botsite"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SOFT_TIME_LIMIT = env.float("TASK_SOFT_LIMIT_SECONDS", default=35)
CELERY_TASK_TIME_LIMIT = env.float("TASK_HARD_LIMIT_SECONDS", default=45)
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_POOL = "prefork"
CELERY_WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=2)
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_MAX_TASKS_PER_CHILD = 5000
CELERY_BEAT_SCHEDULER = env.str("CELERY_BEAT_SCHEDULER", default="bots.schedule.beat:BotScheduler")

# -- Trading --------------------------------------------------------------------------------------
LIVE_TRADING_ENABLED = env.bool("LIVE_TRADING_ENABLED", default=False)
MAX_LEVERAGE = env.int("MAX_LEVERAGE", default=20)
LIVE_EXCHANGES = env.list("LIVE_EXCHANGES", default=["binance"])
EXCHANGE_API_BASE: dict[str, str] = env.dict("EXCHANGE_API_BASE", default={})
TRADING_DAY_TIME_ZONE = env.str("TRADING_DAY_TIME_ZONE", default="UTC")
ZoneInfo(TRADING_DAY_TIME_ZONE)  # A zone that does not exist must fail here, not at midnight.

# How long a tick owns its bot, and what has to be over before that.
LEASE_SECONDS = env.float("LEASE_SECONDS", default=60)
TICK_DEADLINE_SECONDS = env.float("TICK_DEADLINE_SECONDS", default=30)
TICK_SEND_MARGIN_SECONDS = env.float("TICK_SEND_MARGIN_SECONDS", default=10)
HTTP_TIMEOUT_SECONDS = env.float("HTTP_TIMEOUT_SECONDS", default=8)
# When "not found" proves that the exchange never took an order, and how late it may still take one.
ORDER_FENCE_SECONDS = env.float("ORDER_FENCE_SECONDS", default=20)
RECV_WINDOW_MS = env.int("RECV_WINDOW_MS", default=5000)
SWEEP_SECONDS = env.int("SWEEP_SECONDS", default=60)
CANARY_SECONDS = env.int("CANARY_SECONDS", default=90)
RECONCILE_SECONDS = env.int("RECONCILE_SECONDS", default=300)
COMMAND_TTL_SECONDS = env.float("COMMAND_TTL_SECONDS", default=60)
# Signals from outside: how old one may be, and how many a bot takes in a minute.
HOOK_MAX_AGE_SECONDS = env.float("HOOK_MAX_AGE_SECONDS", default=60)
HOOK_SIGNALS_PER_MINUTE = env.int("HOOK_SIGNALS_PER_MINUTE", default=10)
RESET_SPREAD_SECONDS = env.float("RESET_SPREAD_SECONDS", default=5)
MIN_CHECK_INTERVAL_SECONDS = env.int("MIN_CHECK_INTERVAL_SECONDS", default=5)
MARKETS_TTL_SECONDS = env.float("MARKETS_TTL_SECONDS", default=3600)
PRICE_TTL_SECONDS = env.float("PRICE_TTL_SECONDS", default=1)
KEY_CHECK_HOURS = env.float("KEY_CHECK_HOURS", default=24)
# A folder through which tests kill or hold a tick (bots.failpoints); loopback exchanges only.
FAILPOINTS = env.str("FAILPOINTS", default="")
MARKET_SEED = env.int("MARKET_SEED", default=1)
PAPER_FEE_PERC = Decimal(env.str("PAPER_FEE_PERC", default="0.1"))
PAPER_SLIPPAGE_PERC = Decimal(env.str("PAPER_SLIPPAGE_PERC", default="0.05"))
PAPER_START_BALANCE = Decimal(env.str("PAPER_START_BALANCE", default="10000"))

# -- Alerts ---------------------------------------------------------------------------------------
ALERTS_SECONDS = env.int("ALERTS_SECONDS", default=20)
ALERTS_WINDOW_SECONDS = env.float("ALERTS_WINDOW_SECONDS", default=600)
# Webhooks and mail servers in private networks, and http: for tests, and for sites whose users are
# trusted like their operator.
ALERTS_ALLOW_PRIVATE = env.bool("ALERTS_ALLOW_PRIVATE", default=False)

# -- Backtests ------------------------------------------------------------------------------------
# At most so many at once on all workers: one fewer than these have, or ticks wait for them.
BACKTEST_WORKERS = env.int("BACKTEST_WORKERS", default=1)
BACKTEST_SECONDS = env.int("BACKTEST_SECONDS", default=600)
BACKTEST_MEMORY_MB = env.int("BACKTEST_MEMORY_MB", default=1024)
BACKTEST_LOST_SECONDS = env.int("BACKTEST_LOST_SECONDS", default=90)
BACKTEST_MAX_CANDLES = env.int("BACKTEST_MAX_CANDLES", default=600_000)
BACKTEST_SWEEP_SETS = env.int("BACKTEST_SWEEP_SETS", default=400)
HISTORY_MAX_MB = env.int("HISTORY_MAX_MB", default=4000)
BACKTESTS_OPEN_PER_USER = env.int("BACKTESTS_OPEN_PER_USER", default=3)
BACKTESTS_PER_DAY = env.int("BACKTESTS_PER_DAY", default=200)
BACKTESTS_KEPT = env.int("BACKTESTS_KEPT", default=200)

# -- Logs -----------------------------------------------------------------------------------------
LOGGING = logs.config(
    level=env.str("LOG_LEVEL", default="INFO"), fmt=env.str("LOG_FORMAT", default="console")
)
