#!/usr/bin/env python
"""Run one of Django's or our own commands: `python manage.py help`."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    if sys.argv[1:2] == ["runplatform"] and "--help" not in sys.argv:
        # The settings need secrets, so a first start makes them before Django reads any.
        from botsite.platform.bootstrap import ensure_env

        ensure_env()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
