"""Fetch axe before the tests that need it start."""

from tests import axe

axe.install()
