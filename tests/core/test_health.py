"""/healthz"""

import pytest
from django.db import DatabaseError

from hipapp.core import health
from tests.builders.rows import make_job


@pytest.mark.django_db
def test_health_is_open_to_all_and_counts_open_jobs(client):
    make_job()
    make_job(state="succeeded")
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "database": "ok", "n_open_jobs": 1}


def test_health_says_when_the_database_is_away(rf, monkeypatch):
    class Away:
        def cursor(self):
            raise DatabaseError("connection refused")

    monkeypatch.setattr(health, "connection", Away())
    answer = health.healthz(rf.get("/healthz"))
    assert answer.status_code == 503
    assert b"refused" not in answer.content
