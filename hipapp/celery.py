"""The Celery application. Workers find the tasks of every app."""

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hipapp.settings")
TRANSPORT_ALIASES["filesystem"] = "hipapp.jobs.filesystem:Transport"

app = Celery("hipapp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
