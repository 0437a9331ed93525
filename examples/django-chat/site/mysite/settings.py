"""Settings of the site. The variable STEP says which step of docs/django.md it is at: 0 to 3."""

import os
from pathlib import Path

STEP = int(os.environ.get("STEP", "2"))
REDIS = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")

SECRET_KEY = "for the example alone"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "mysite.urls"
ASGI_APPLICATION = "mysite.asgi.application"
INSTALLED_APPS = [
    "daphne",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "channels",
    "chat",
    "tidegate",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", Path(__file__).resolve().parent.parent / "db.sqlite3"),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_REDIRECT_URL = "/chat/members/lobby/"
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

if STEP >= 3:
    MIDDLEWARE += ["tidegate.django.middleware.TidegateMiddleware"]
    TIDEGATE_AUTH = {
        "algorithm": "EdDSA",
        "key": Path(os.environ.get("LOGIN_KEY", "login-key.pem")).read_text(),
        "audience": "chat",
        "claims": "chat.views.claims",
        "groups": ["members.user.{id}"],
        "lifetime": int(os.environ.get("TOKEN_LIFETIME", "300")),
    }
