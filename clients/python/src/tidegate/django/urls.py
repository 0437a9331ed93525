"""Paths for `include("tidegate.django.urls")`."""

from __future__ import annotations

from django.urls import path

from .views import token

app_name = "tidegate"

urlpatterns = [path("token/", token, name="token")]
