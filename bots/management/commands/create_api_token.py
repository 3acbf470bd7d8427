"""manage.py create_api_token USER"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots.management.commands._bot import find_user
from bots.models import ApiToken
from bots.models.token import SCOPES


class Command(BaseCommand):
    help = (
        "Make an API token for a user and print it as the last line. It cannot be shown again."
        " Exit codes: 0 made, 1 the user is deactivated, 2 no such user."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER", help="the user's name")
        parser.add_argument("--name", default="command line", help="what the token is for")
        parser.add_argument(
            "--scopes",
            nargs="+",
            choices=SCOPES,
            default=list(SCOPES),
            help="what it may do; all unless given. live: start live bots",
        )

    def handle(self, *, user: str, name: str, scopes: list[str], **_: Any) -> None:
        owner = find_user(user)
        if not owner.is_active:
            raise CommandError(f"{user} is deactivated: a token would not work")
        text = ApiToken.issue(owner, name[:60], tuple(scopes))
        self.stdout.write(f"token {name!r} of {user}, scopes {', '.join(scopes)}:")
        self.stdout.write(text)
