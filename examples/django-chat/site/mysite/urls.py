"""Paths of the site."""

from django.conf import settings
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

urlpatterns = [
    path("chat/", include("chat.urls")),
    path("accounts/login/", LoginView.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(next_page="login"), name="logout"),
]
if settings.STEP >= 3:
    urlpatterns += [path("tidegate/", include("tidegate.django.urls"))]
