"""A clock that tests own."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from attrs import define, field

__all__ = ["FakeClock"]


@define(eq=False)
class FakeClock:
    """Stands still until told otherwise; ``sleep`` advances it. Safe from several threads."""

    at: datetime = field(default=datetime(2024, 1, 1, tzinfo=UTC))
    _ticks: float = field(default=0.0, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def now(self) -> datetime:
        """The time it was set to."""
        return self.at

    def monotonic(self) -> float:
        """Seconds advanced so far: setting the clock back does not change it."""
        return self._ticks

    def sleep(self, seconds: float) -> None:
        """Advance by ``seconds`` without waiting."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move both readings on."""
        with self._lock:
            self.at += timedelta(seconds=seconds)
            self._ticks += seconds
