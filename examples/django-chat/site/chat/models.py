"""The notices of rooms."""

from django.db import models


class Notice(models.Model):
    """A notice for a room; whoever saves one tells the room."""

    room = models.CharField(max_length=50)
    text = models.TextField()
