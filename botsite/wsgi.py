"""The WSGI entry point: `gunicorn -c python:botsite.gunicorn botsite.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")

application = get_wsgi_application()
# All pages, before gunicorn's processes part: each would load them for itself at its first request.
PAGES = get_resolver().url_patterns
