from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "hipapp.jobs"

    def ready(self) -> None:
        from hipapp.jobs import sweeper  # noqa: F401  connects the sweeper to the worker's start
