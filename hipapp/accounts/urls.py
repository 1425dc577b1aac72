"""Addresses of accounts."""

from django.urls import path

from hipapp.accounts import views

app_name = "accounts"
urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", views.SignOut.as_view(), name="sign-out"),
    path("password/", views.password, name="password"),
    path("token/", views.token, name="token"),
    path("people/", views.people, name="people"),
    path("people/new/", views.person_new, name="person-new"),
    path("people/<int:pk>/", views.person, name="person"),
    path("people/<int:pk>/active/", views.person_active, name="person-active"),
    path("people/<int:pk>/password/", views.person_password, name="person-password"),
    path("roles/<int:pk>/take/", views.role_take, name="role-take"),
    path("centres/", views.centres, name="centres"),
    path("centres/<int:pk>/", views.centre_edit, name="centre-edit"),
    path("access/", views.access_log, name="access-log"),
]
