"""Install a Chromium for the tests where the machine has none."""

from tests import chromium

try:
    chromium.find()
except chromium.NoBrowser:
    chromium.install()
