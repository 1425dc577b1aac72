from django.apps import AppConfig


class DemoConfig(AppConfig):
    name = "hipapp.demo"
