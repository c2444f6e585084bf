"""Sentences about what happened to a session, the same wherever they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SESSION_ENDED: Final = "the session was ended"
"""How the reason begins where the kernel went with its session."""


def death_notice(data: Mapping[str, Any]) -> str:
    """Returns the sentence about a dead kernel for the reader of its output.

    Args:
        data: of the record `kernel-died`.
    """
    signal, reason = data.get("signal"), data.get("reason")
    if str(reason).startswith(SESSION_ENDED):
        return f"T{str(reason)[1:]}."
    if signal and reason and str(signal) not in str(reason):
        return f"The kernel died: {reason} ({signal})."
    if reason or signal:
        return f"The kernel died: {reason or signal}."
    return f"The kernel died with exit code {data.get('exitCode')}."
