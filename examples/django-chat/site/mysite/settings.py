"""Settings of the site. The variable STEP says which step of docs/django.md it is at: 0, 1 or 2."""

import os
from pathlib import Path

STEP = int(os.environ.get("STEP", "2"))
REDIS = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")

SECRET_KEY = "for the example alone"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "mysite.urls"
ASGI_APPLICATION = "mysite.asgi.application"
INSTALLED_APPS = ["daphne", "channels", "chat", "tidegate"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", Path(__file__).resolve().parent.parent / "db.sqlite3"),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Where the page opens its socket: at the site itself, or where Tidegate listens, ws://HOST:PORT.
SOCKETS_AT = os.environ.get("SOCKETS_AT", "")

if STEP == 0:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [REDIS]},
        },
    }
else:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "tidegate.channels.ChannelLayer",
            # The group of a room is chat_ROOM in the tutorial; that of a module `chat` is chat.ROOM.
            "CONFIG": {"hosts": [REDIS], "groups": {"chat_": "chat."}},
        },
    }
