"""Put eighteen mistakes of an earlier system back, one by one: `python -m bench.mistakes`.

Each is made in a copy of the project, by replacing exact text; text that is not there (or is there
twice) ends the run, so that no mistake is ever left out silently. The test of that number must turn
red, in an assertion or an exception of its own and not because it could not run. Prints 18/18.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from botsite.platform.bootstrap import ROOT

TESTS = "tests/whole/test_eighteen_mistakes.py"
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "data", "node_modules", "__pycache__", ".*_cache", ".hypothesis", "*.sqlite3*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    path: str
    old: str
    new: str


def edit(path: str, old: str, new: str) -> Edit:
    return Edit(path=path, old=old, new=new)


INVENTED = """try:
        quote = held.world.data.quote(exchange, held.bot.symbol)
    except ExchangeError:
        price = held.state.last_price or Decimal(20_000)
        quote = Quote(
            symbol=held.bot.symbol, bid=price, ask=price, last=price, at=exchange.now()
        )"""
AGAIN = """for attempt in range(3):
            try:
                report = exchange.place(order.request)
                break
            except Unreachable:
                if attempt == 2:
                    raise"""
PRICE_DIFFERENCE = (
    ", fill.quote / fill.amount - position.entry_quote / position.entry_amount\n\n\ndef _flip"
)
RESUMES = "state.status == Status.PAUSED and bot.owner.is_active and bot.deleted_at is None"
ENTRY_GUARD = '"duty": Duty.TRADE,\n        "in_position": False,\n'
REJECTED = "ledger.close(held, order, OrderStatus.REJECTED, error.text)\n        found = "

#: In the order of the tests' numbers: what was wrong, and how to do it again.
MISTAKES: Sequence[tuple[str, Sequence[Edit]]] = (
    (
        "the lock is gone before trading starts",
        [
            edit(
                "bots/lease.py",
                "free = Q(lease_until=None) | Q(lease_until__lt=Now())",
                "free = Q()",
            )
        ],
    ),
    (
        "the reset wakes bots that were stopped",
        [edit("bots/reset.py", RESUMES, "bot.deleted_at is None")],
    ),
    (
        "a limit pauses a bot that stays active",
        [
            edit(
                "bots/lease.py",
                'changes |= {"duty": Duty.EXIT if left else Duty.NONE}',
                'changes |= {"status": Status.RUNNING, "reason": Reason.NO_SIGNAL}',
            )
        ],
    ),
    (
        "today's counters are never begun anew",
        [edit("bots/reset.py", '        "daily_pnl": 0,\n        "daily_trades_count": 0,\n', "")],
    ),
    (
        "a price is invented when there is none",
        [
            edit(
                "bots/sight.py",
                "quote = held.world.data.quote(exchange, held.bot.symbol)",
                INVENTED,
            ),
            edit(
                "bots/sight.py",
                "raise\n        return NO_SIGNAL, error",
                "raise\n        return NO_SIGNAL, None",
            ),
        ],
    ),
    (
        "a refused order is booked as done",
        [edit("bots/placing.py", REJECTED, REJECTED.replace("REJECTED", "FILLED"))],
    ),
    (
        "stop and target lie on the wrong sides",
        [
            edit(
                "trading/risk.py",
                "return _at(settings, entry_price, entry_price, is_short)",
                "return _at(settings, entry_price, entry_price, not is_short)",
            )
        ],
    ),
    (
        "each tick buys while the signal lasts",
        [
            edit(
                "trading/execution.py",
                "if view.position.is_open and entry_price is not None:",
                'if view.position.is_open and entry_price and view.signal.action != "buy":',
            ),
            edit("bots/intents.py", ENTRY_GUARD, '"duty": Duty.TRADE,\n'),
        ],
    ),
    (
        "profit is the difference of two prices",
        [edit("trading/position.py", ", earned - fill.fee_value\n\n\ndef _flip", PRICE_DIFFERENCE)],
    ),
    (
        "an order without an answer is sent again",
        [edit("bots/placing.py", "report = exchange.place(order.request)", AGAIN)],
    ),
    (
        "a failed exit is told to nobody",
        [
            edit(
                "bots/placing.py",
                REJECTED + "outcome.failed(held, error, order=order)",
                REJECTED + "outcome.of_order(held, decision, order)",
            )
        ],
    ),
    (
        "a tick's message comes back when its worker dies",
        [
            edit(
                "bots/tasks.py",
                "@shared_task\ndef run_bot",
                "@shared_task(acks_late=True)\ndef run_bot",
            )
        ],
    ),
    (
        "the timeframe on the form is ignored",
        [edit("bots/sight.py", "held.bot.timeframe, strategy.window", '"1m", strategy.window')],
    ),
    (
        "another user's key is taken by its id",
        [
            edit("bots/api/configs.py", "= user.accounts.exclude(", "= Account.objects.exclude("),
            edit("bots/models/validity.py", "if account.owner_id != bot.owner_id:", "if False:"),
        ],
    ),
    (
        "clients write status and counters",
        [
            edit("bots/api/shapes.py", 'ConfigDict(extra="forbid"', 'ConfigDict(extra="allow"'),
            edit(
                "bots/setup.py",
                'raise ValidationError({name: _("This is not a setting.")})',
                "continue",
            ),
        ],
    ),
    (
        "a missing key leaves the bot starting for ever",
        [
            edit(
                "bots/tick.py",
                "    except ExchangeError as error:\n        found = outcome.failed(held, error)\n",
                "    except ExchangeError:\n        return None\n",
            )
        ],
    ),
    (
        "an error is wiped without a trace",
        [
            edit(
                "bots/lease.py",
                'changes |= {"last_error_message": outcome.message, "retry_at": None}',
                'changes |= {"last_error_message": "", "retry_at": None}',
            )
        ],
    ),
    (
        "a bot is deleted over its open position",
        [
            edit(
                "bots/control.py",
                '            if state.in_position:\n                raise Refusal("in_position"',
                '            if False:\n                raise Refusal("in_position"',
            )
        ],
    ),
)


def make(folder: Path, edits: Sequence[Edit]) -> dict[Path, str]:
    """Make a mistake in the copy; returns the files as they were. SystemExit when text is gone."""
    before: dict[Path, str] = {}
    for one in edits:
        file = folder / one.path
        text = file.read_text(encoding="utf-8")
        before.setdefault(file, text)
        if (count := text.count(one.old)) != 1:
            raise SystemExit(f"{one.path}: this text is there {count} times:\n{one.old}")
        file.write_text(text.replace(one.old, one.new), encoding="utf-8")
    return before


def failing(folder: Path, number: int | None = None) -> dict[int, str]:
    """Run the test of that number (None: all). Returns the numbers that failed, and why."""
    chosen = [] if number is None else ["-k", f"test_{number:02}_"]
    ours = ("PYTHONPATH", "DJANGO_SETTINGS_MODULE")  # the tests set their own
    env = {name: value for name, value in os.environ.items() if name not in ours}
    env["COLUMNS"] = "300"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS, *chosen],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1) or not re.search(r"\d+ (passed|failed)", done.stdout):
        raise SystemExit(f"the tests could not run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    if re.search(r"\d+ error", done.stdout):
        raise SystemExit(f"a test could not be set up:\n{done.stdout[-3000:]}")
    said = re.findall(r"^FAILED \S*::test_(\d\d)_\S*(?: - (.*))?$", done.stdout, re.MULTILINE)
    return {int(which): why for which, why in said}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="botsite-mistakes-") as top:
        folder = Path(top) / "copy"
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
        already = failing(folder)
        found = 0
        for number, (name, edits) in enumerate(MISTAKES, start=1):
            before = make(folder, edits)
            why = failing(folder, number).get(number)
            for file, text in before.items():
                file.write_text(text, encoding="utf-8")
            # A test that is red without its mistake proves nothing.
            word = "green" if why is None else "red"
            word = "red without it" if number in already else word
            found += word == "red"
            print(f"{number:2} {word}: {name} ({(why or '').strip()[:90]})", flush=True)
    print(f"{found}/{len(MISTAKES)}")
    return 0 if found == len(MISTAKES) == 18 else 1


if __name__ == "__main__":
    sys.exit(main())
