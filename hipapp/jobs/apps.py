from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "hipapp.jobs"

    def ready(self) -> None:
        from hipapp import celery  # noqa: F401  makes this installation's application the current one
        from hipapp.jobs import sweeper  # noqa: F401  connects the sweeper to the worker's start
