"""WSGI entry for gunicorn. `hipapp.core.embedded.prepare()` must have run in the launcher where DATABASE_URL is unset."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hipapp.settings")
application = get_wsgi_application()
