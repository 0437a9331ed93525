"""Tells a room of what is saved."""

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db.models.signals import post_save
from django.dispatch import receiver

from tidegate import frames

from .models import Notice


@receiver(post_save, sender=Notice)
def tell_the_room(sender, instance, created, **kwargs):
    """Sends a notice to all sockets in the room, whoever holds them."""
    if created:
        send = async_to_sync(get_channel_layer().group_send)
        send(f"chat_{instance.room}", frames.json({"message": instance.text}))
