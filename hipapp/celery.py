"""The Celery application. Workers find the tasks of every app."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hipapp.settings")

app = Celery("hipapp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
