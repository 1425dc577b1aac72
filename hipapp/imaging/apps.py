from django.apps import AppConfig


class ImagingConfig(AppConfig):
    name = "hipapp.imaging"

    def ready(self) -> None:
        from hipapp.imaging.services.quiet import order_due
        from hipapp.jobs.sweeper import also_swept

        also_swept.append(order_due)
