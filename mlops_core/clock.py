"""Time: aware UTC for what is stored, monotonic seconds for durations."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from mlops_core.exceptions import MLOpsError, checks_input

__all__ = ["SystemClock", "aware"]


class SystemClock:
    """The machine's clock."""

    __slots__ = ()

    def now(self) -> datetime:
        """The current time, aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; nothing or less returns at once."""
        if seconds > 0:
            time.sleep(seconds)


@checks_input
def aware(at: Any, what: str, error: type[MLOpsError] = MLOpsError) -> datetime:
    """Answer ``at`` in UTC; a naive time is refused, since it means another moment on every machine.

    Raises:
        MLOpsError: Of class ``error``.
    """
    if not isinstance(at, datetime):
        raise error(f"{what}: expected a datetime, got {type(at).__name__} - give datetime.now(UTC)")
    if at.tzinfo is None:
        raise error(f"{what}: {at.isoformat()} has no time zone - use datetime.now(UTC) or .replace(tzinfo=UTC)")
    return at.astimezone(UTC)
