"""How failures look: JSON with `detail`; 409 adds `reason`; 422 names each field in `loc`."""

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import AuthenticationError
from ninja.errors import ValidationError as BadInput

from bots.control import Refusal
from bots.models import Outpaced

log = logging.getLogger(__name__)
RETRY_SECONDS = "2"


class Problem(Schema):
    """401, 403, 404, 405, 429, 500: `detail` says what is wrong."""

    detail: str


class Conflict(Schema):
    """409: the verb cannot be done now. `reason` is a stable word, `detail` says it to a person."""

    reason: str
    detail: str


class FieldProblem(Schema):
    """One wrong field: `loc` is body, query or path and the field's name, `msg` what is wrong."""

    loc: list[str | int]
    msg: str


class Invalid(Schema):
    """422: each wrong field."""

    detail: list[FieldProblem]


def install(api: NinjaAPI) -> None:
    """Make every failure of `api` answer as above."""

    def handle(
        kind: type[Exception], status: int, body: Callable[[Any], object], **headers: str
    ) -> None:
        def handler(request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
            response = api.create_response(request, body(error), status=status)
            for name, value in headers.items():
                response[name.replace("_", "-")] = value
            return response

        api.add_exception_handler(kind, handler)

    handle(AuthenticationError, 401, lambda e: {"detail": e.message}, WWW_Authenticate="Bearer")
    handle(Http404, 404, lambda _: {"detail": "Not found."})
    handle(Refusal, 409, lambda e: {"reason": e.reason, "detail": e.message})
    handle(Outpaced, 409, lambda e: {"reason": "outpaced", "detail": str(e)})
    handle(BadInput, 422, lambda e: {"detail": [_own_shape(row) for row in e.errors]})
    handle(ValidationError, 422, lambda e: {"detail": fields(e)})
    handle(OperationalError, 503, _busy, Retry_After=RETRY_SECONDS)
    handle(Exception, 500, _unexpected)


def fields(error: ValidationError) -> list[dict[str, Any]]:
    """Return a model's or verb's ValidationError as rows of loc and msg."""
    if not hasattr(error, "error_dict"):
        return [{"loc": ["body"], "msg": message} for message in error.messages]
    return [
        {"loc": ["body"] if name == NON_FIELD_ERRORS else ["body", name], "msg": message}
        for name, messages in error.message_dict.items()
        for message in messages
    ]


def _own_shape(row: dict[str, Any]) -> dict[str, Any]:
    source, *rest = row["loc"]
    # The second part of a body's or query's location is our function's argument, no field.
    if source in ("body", "query") and len(rest) > 1:
        rest = rest[1:]
    elif source == "body":
        rest = []
    return {"loc": [source, *rest], "msg": row["msg"]}


def _busy(error: OperationalError) -> dict[str, str]:
    log.error("the database did not answer an API call", exc_info=error)
    return {"detail": "The database is busy. Try again shortly."}


def _unexpected(error: Exception) -> dict[str, str]:
    log.error("an API call failed", exc_info=error)
    return {"detail": "Something went wrong here. It was recorded."}
