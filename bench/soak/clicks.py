"""An owner who clicks at random, through the API."""

import json
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any


@dataclass(kw_only=True)
class Clicks:
    """Calls /api/v1 with a token. `answers` counts HTTP statuses; 0: nobody answered."""

    url: str
    token: str
    random: Random
    answers: Counter[int] = field(default_factory=Counter)
    server_errors: list[str] = field(default_factory=list)

    def click(self, bots: list[dict[str, Any]]) -> None:
        """Do what moves one bot on: start what is off, buy what is flat, sell what is not.

        `bots`: rows with pk, duty, in_position and has_unsettled_orders.
        """
        bot = self.random.choice(bots)
        if bot["duty"] != "trade":
            self.post(bot["pk"], "start")
        elif self.random.random() < 0.08:
            position = self.random.choice(("leave", "close", "after_exit"))
            self.post(bot["pk"], "stop", {"position": position})
        else:
            self.post(bot["pk"], "exit" if bot["in_position"] else "enter")

    def post(self, bot_id: int, verb: str, body: dict[str, Any] | None = None) -> int:
        """Call one verb; returns the HTTP status, 0 when the site did not answer."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/bots/{bot_id}/{verb}",
            data=json.dumps(body or {}).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            method="POST",
        )
        status = 0
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                status = int(answer.status)
        except urllib.error.HTTPError as error:
            status = error.code
            if status >= 500:
                self.server_errors.append(f"{verb} of bot {bot_id}: {status}")
        except OSError:
            status = 0
        self.answers[status] += 1
        return status
