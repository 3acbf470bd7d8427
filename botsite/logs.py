"""Logging: every process writes structured lines to standard error, through structlog."""

import re
from typing import Any

import structlog

# What an exchange's URL, header or error text may carry: a second fence behind the adapter's own.
_SECRETS = re.compile(
    r"(?i)((?:signature|api[-_]?key|x-mbx-apikey|secret(?:[-_]?key)?|passphrase|authorization)"
    r"[\"']?\s*[=:]\s*[\"']?(?:bearer\s+)?)[^\s\"'&,;}]+"
)
#: The address of a bot's signals ends in its secret.
_HOOK = re.compile(r"(/hooks/[a-z0-9]{12}/)[\w-]+")


def scrub(text: str) -> str:
    """Return `text` with the values of signatures, keys, secrets and tokens replaced by `***`."""
    return _HOOK.sub(r"\1***", _SECRETS.sub(r"\1***", text))


def _scrub_line(_logger: Any, _name: str, line: str) -> str:
    return scrub(line)


def _shared() -> list[Any]:
    """Return what every line is given, whoever wrote it."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _formatter(fmt: str) -> dict[str, Any]:
    """Return how a record becomes a line: the last step removes secrets."""
    if fmt == "json":
        # A JSON line holds its traceback as a string; the console's renderer formats it itself.
        render: list[Any] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        render = [
            structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback
            )
        ]
    return {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [*_shared(), structlog.stdlib.ExtraAdder()],
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *render,
            _scrub_line,
        ],
    }


def config(*, level: str, fmt: str) -> dict[str, Any]:
    """Configure structlog and return Django's LOGGING.

    `level` is the least level written; `fmt` is `json` or `console`.
    """
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": _formatter(fmt)},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django's own handlers would write each line twice, unscrubbed.
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            "axes": {"level": "WARNING"},
            # One line a task is noise at a tick a second; failures are logged at a higher level.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.worker.request": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            "django_celery_beat.schedulers": {"level": "WARNING"},
        },
    }
