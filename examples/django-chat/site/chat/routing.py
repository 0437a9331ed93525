"""Paths of WebSockets."""

from django.conf import settings
from django.urls import re_path

from . import consumers

consumer = consumers.SharedChatConsumer if settings.STEP >= 2 else consumers.ChatConsumer

websocket_urlpatterns = [re_path(r"ws/chat/(?P<room_name>\w+)/$", consumer.as_asgi())]
