"""Notices that a login ends: by logging out, by another password, by a user who may not sign in any more."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save

from .sockets import close_quietly

# What ends all sessions of a user when it changes.
FIELDS = ("password", "is_active")
# Users whose session a request ended; `TidegateMiddleware` closes their sockets when it is gone.
LOGGED_OUT = "_tidegate_logged_out"
_ENDS = "_tidegate_ends"


def connect() -> None:
    """Connects the receivers."""
    user_logged_out.connect(_logged_out, dispatch_uid="tidegate.logged_out")
    # Of all models, since a proxy of the user is another sender.
    pre_save.connect(_compare, dispatch_uid="tidegate.compare")
    post_save.connect(_saved, dispatch_uid="tidegate.saved")
    post_delete.connect(_deleted, dispatch_uid="tidegate.deleted")


def _logged_out(request: Any = None, user: Any = None, **_: Any) -> None:
    # Django sends the signal for visitors who were not signed in, too.
    if user is None or user.pk is None:
        return
    if request is None:
        _close_after_commit(user)
    else:
        # The session is still there: a socket that was closed now could come back by it. The request may be a
        # wrapper, such as that of Django REST framework, whose session is the same.
        logged_out = getattr(request.session, LOGGED_OUT, ())
        setattr(request.session, LOGGED_OUT, (*logged_out, str(user.pk)))


def _compare(
    sender: Any, instance: Any, raw: bool, using: str, update_fields: Any, **_: Any
) -> None:
    """Looks before a user is saved whether sessions end by it. A login saves another field alone."""
    if not isinstance(instance, get_user_model()):
        return
    names = {field.attname for field in sender._meta.concrete_fields}
    watched = [name for name in FIELDS if name in names]
    if update_fields is not None:
        watched = [name for name in watched if name in update_fields]
    if raw or not watched or instance._state.adding:
        return
    before = sender._base_manager.using(using).filter(pk=instance.pk).values_list(*watched).first()
    after = tuple(getattr(instance, name) for name in watched)
    vars(instance)[_ENDS] = before is not None and before != after


def _saved(instance: Any, using: str, **_: Any) -> None:
    if isinstance(instance, get_user_model()) and vars(instance).pop(_ENDS, False):
        _close_after_commit(instance, using)


def _deleted(instance: Any, using: str, **_: Any) -> None:
    if isinstance(instance, get_user_model()):
        _close_after_commit(instance, using)


def _close_after_commit(user: Any, using: str | None = None) -> None:
    name = str(user.pk)
    transaction.on_commit(lambda: close_quietly([name]), using=using)
