"""Botsite wires the product together; nothing else imports it.

The Celery app is loaded here so that `shared_task` in every process speaks to our broker.
"""

from botsite.celery import app as celery_app

__all__ = ["celery_app"]
