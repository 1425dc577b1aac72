#!/usr/bin/env python
"""Django's command line; starts the embedded database first where none is named."""

import os
import sys

if __name__ == "__main__":
    from hipapp.core.embedded import prepare

    prepare()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hipapp.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
