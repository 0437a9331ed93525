"""Paths of the chat."""

from django.urls import path

from . import views

urlpatterns = [
    path("members/<slug:room_name>/", views.members),
    path("<slug:room_name>/", views.room),
    path("<slug:room_name>/announce", views.announce),
    path("<slug:room_name>/notice", views.notice),
]
