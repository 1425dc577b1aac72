"""The Django side. The Celery application is made when the app `jobs` is ready, so that a parser process needs neither."""
