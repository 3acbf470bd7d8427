"""The WSGI entry point: `gunicorn -c python:botsite.gunicorn botsite.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")

application = get_wsgi_application()
