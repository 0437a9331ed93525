"""A greeting over HTTP and an echo over WebSocket with Django and Channels."""

import json

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponseBadRequest, JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a benchmark",
    LOGGING_CONFIG=None,
)
django.setup()

WORDS = {"en": "Hello", "de": "Hallo", "fr": "Bonjour", "tlh": "nuqneH"}


def hello(request):
    wish = json.loads(request.body)
    language = wish.get("language", "en")
    if language not in WORDS:
        return HttpResponseBadRequest()
    return JsonResponse({"language": language, "text": f"{WORDS[language]}, {wish['name']}!"})


urlpatterns = [path("hello", hello)]


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data=text_data, bytes_data=bytes_data)


application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("echo", Echo.as_asgi())]),
    }
)
