"""A process of its own with a plugin on its path: what form, page and tick make of it, as JSON."""

import json
import os
import re
import sys

import django


def main(name: str) -> None:
    """Make a bot of alice's with the strategy `name`, let it trade, and print what was seen."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    django.setup()
    from django.conf import settings
    from django.test import Client

    from bots import schedule
    from bots.forms import BotForm
    from bots.models import User
    from tests.engine.bench import Bench
    from tests.pages.builders import sign_in, text_of

    settings.ALLOWED_HOSTS = ["testserver"]
    schedule.send = lambda task, *args, expires=60: True  # type: ignore[assignment]
    alice = User.objects.get(username="alice")
    choices = dict(BotForm(owner=alice).fields["strategy"].widget.choices)  # type: ignore[attr-defined]
    bench = Bench(alice, strategy=name, params={"lookback": 4}, stop_loss_perc=5)
    bench.enter()
    client = Client()
    sign_in(client, alice)
    page = client.get(f"/bots/{bench.bot.pk}/settings/")
    row = bench.decisions[-1]
    why = client.get(f"/bots/{bench.bot.pk}/decisions/{row.pk}/")
    said = {
        "choice": choices.get(name),
        "params": bench.bot.params,
        "where": bench.where,
        "numbers": row.numbers,
        "orders": len(bench.orders),
        "fields": re.findall(r'name="(param_\w+)"', page.content.decode()),
        "settings": text_of(page),
        "why": text_of(why),
        "bot": bench.bot.pk,
    }
    sys.stdout.write(json.dumps(said, default=str))


if __name__ == "__main__":
    main(sys.argv[1])
