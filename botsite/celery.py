"""The Celery app: `celery -A botsite worker` and `celery -A botsite beat`."""

import os
import warnings
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging

# Its danger is pickle, and only JSON is accepted here.
warnings.filterwarnings("ignore", message=".*superuser privileges", category=SecurityWarning)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
# Celery would load every page and the API's schemas to check them, and throw the findings away.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("botsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _keep_our_logging(**_kwargs: Any) -> None:
    """Leave logging as Django set it up: having a receiver stops Celery from replacing it."""
