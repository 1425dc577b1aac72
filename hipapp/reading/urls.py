"""Addresses of reads."""

from django.urls import path

from hipapp.reading import views

app_name = "reading"
urlpatterns = [
    path("reads/", views.read_list, name="list"),
    path("reads/visit/<int:visit_pk>/", views.read_visit, name="visit"),
    path("reads/<int:pk>/withdraw/", views.read_withdraw, name="withdraw"),
]
