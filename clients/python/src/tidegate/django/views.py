"""The view that gives a page a token."""

from __future__ import annotations

from typing import Any

from django.http import JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .tokens import token_for


@require_safe  # type: ignore[untyped-decorator]
@never_cache  # type: ignore[untyped-decorator]
def token(request: Any) -> JsonResponse:
    """Answers with `{"token": ..., "expires_in": SECONDS}`, or 401 where nobody is signed in.

    Django looks at the session and at the hash of the password each time, so a session that has ended gets
    no token any more. No other site reads the answer, unless the site lets it by CORS.
    """
    if not request.user.is_authenticated:
        return JsonResponse({"error": "sign in first"}, status=401)
    made = token_for(request.user)
    return JsonResponse({"token": made.text, "expires_in": made.lifetime})
