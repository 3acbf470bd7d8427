"""The API object: exact numbers in, nothing cached, documentation that keeps the site's CSP."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver
from ninja import NinjaAPI, Swagger
from ninja.parser import Parser

from bots.numbers import bounded, read_int


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


class ExactParser(Parser):
    """Reads JSON numbers as Decimal, so that 0.1 stays 0.1, and refuses NaN and Infinity.

    A number beyond every column reads as NaN: the field that was given it names itself.
    """

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(
            request.body,
            parse_float=bounded,
            parse_int=read_int,
            parse_constant=_refuse_constant,
        )
        return body


class Api(NinjaAPI):
    """NinjaAPI whose answers no cache may keep: they belong to one user."""

    def __init__(self, **options: Any) -> None:
        # The page runs from our own static files; a validator elsewhere would be told our address.
        docs = Swagger(settings={"validatorUrl": None, "persistAuthorization": False})
        super().__init__(parser=ExactParser(), docs=docs, **options)

    def _get_urls(self) -> list[URLResolver | URLPattern]:
        patterns: list[URLResolver | URLPattern] = super()._get_urls()
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                pattern.callback = self._telling_methods(pattern.callback)
        return patterns

    def _telling_methods(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """Give the 405 of a view, which ninja writes as plain text, the shape of all refusals."""

        @wraps(view)
        def call(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            response = view(request, *args, **kwargs)
            if response.status_code != 405:
                return response
            allowed = ", ".join(sorted(part.strip() for part in response["Allow"].split(",")))
            body = {"detail": f"This address takes {allowed}."}
            told = self.create_response(request, body, status=405)
            told["Allow"] = allowed
            return told

        return call

    def create_response(self, request: HttpRequest, data: Any, **options: Any) -> HttpResponse:
        response = super().create_response(request, data, **options)
        response["Cache-Control"] = "no-store"
        return response
