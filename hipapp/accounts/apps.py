from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "hipapp.accounts"
