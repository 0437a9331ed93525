"""The pages."""

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from tidegate import frames

from .models import Notice


def room(request, room_name):
    """The page of a room."""
    context = {"room_name": room_name, "sockets_at": settings.SOCKETS_AT}
    return render(request, "chat/room.html", context)


@login_required
def members(request, room_name):
    """The page of a room for those who are signed in."""
    context = {"room_name": room_name, "sockets_at": settings.SOCKETS_AT}
    return render(request, "chat/members.html", context)


def claims(user):
    """What Tidegate's consumers are told of a user besides the id."""
    return {"name": user.get_username()}


# So that `curl` can post; a form of a page has a token.
@csrf_exempt
@require_POST
def announce(request, room_name):
    """Tells a room what was posted, at once."""
    message = request.body.decode()
    send = async_to_sync(get_channel_layer().group_send)
    send(f"chat_{room_name}", frames.json({"message": message}))
    return HttpResponse(status=202)


@csrf_exempt
@require_POST
def notice(request, room_name):
    """Saves what was posted; a signal tells the room."""
    Notice.objects.create(room=room_name, text=request.body.decode())
    return HttpResponse(status=201)
