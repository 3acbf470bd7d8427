"""manage.py transfer ACCOUNT AMOUNT CURRENCY --to futures"""

from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from bots import transfers
from bots.lifecycle import Mode
from bots.management.commands._bot import NOT_FOUND, unless_refused
from bots.models import Account, Transfer

WAYS = {"futures": Transfer.Direction.TO_FUTURES, "spot": Transfer.Direction.TO_SPOT}


class Command(BaseCommand):
    help = (
        "Have a worker move funds between the spot and the futures wallet of an account, once."
        " Asks first, unless --yes. Exit codes: 0 queued, 1 refused, 2 no such account."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("account_id", type=int, metavar="ACCOUNT", help="the account's id")
        parser.add_argument("amount", metavar="AMOUNT", help="how much, for example 25.5")
        parser.add_argument("currency", metavar="CURRENCY", help="for example USDT")
        parser.add_argument("--to", choices=sorted(WAYS), required=True, help="the other wallet")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(
        self, *, account_id: int, amount: str, currency: str, to: str, yes: bool, **_: Any
    ) -> None:
        rows = Account.objects.exclude(mode=Mode.PAPER).select_related("owner")
        account = rows.filter(pk=account_id).first()
        if account is None:
            raise CommandError(f"there is no account {account_id}", returncode=NOT_FOUND)
        what = f"{amount} {currency.upper()} to the {to} wallet of {account} of {account.owner}"
        if not yes and input(f"Move {what}? [yes/no] ").strip().lower() != "yes":
            raise CommandError("nothing was moved")
        try:
            row = unless_refused(
                lambda: transfers.request(
                    account, currency, _number(amount), WAYS[to], by=None, via="command"
                )
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        self.stdout.write(f"transfer {row.pk}: a worker moves {what}")
        self.stdout.write(f"expires at {row.expires_at:%Y-%m-%d %H:%M:%S} UTC")


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise CommandError(f"{text!r} is no number") from None
