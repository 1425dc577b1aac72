"""Addresses of home."""

from django.urls import path

from hipapp.home import views

app_name = "home"
urlpatterns = [path("", views.start, name="start")]
