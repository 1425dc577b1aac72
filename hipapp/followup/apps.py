from django.apps import AppConfig


class FollowupConfig(AppConfig):
    name = "hipapp.followup"
