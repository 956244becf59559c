"""One tracker's way through the streams: groups of records in order, retries, and what is set aside."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from mlops_core.exceptions import MLOpsError
from mlops_core.roles import Clock, Tracker
from mlops_core.spool import Follower, Mark
from mlops_core.tracking.replay import Numbered, apply, probe
from mlops_core.tracking.stream import Stream

__all__ = ["Lane"]

_log = logging.getLogger(__name__)
_GROUP: Final = 1000
_TRIES: Final = 3
_SHORTEST_PAUSE: Final = 0.2
_PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)


@define(eq=False)
class _Place:
    """Where a tracker stands in a stream, and how its last tries there went."""

    follower: Follower | None = None
    at: int = -1
    failures: int = 0
    failing: str = ""
    retry_at: float = 0.0

    def close(self) -> None:
        if self.follower is not None:
            self.follower.close()
        self.follower = None


@define(eq=False)
class Lane:
    """One tracker and its place in every stream. A stream that fails waits, ever longer, and holds up no other one.

    ``failing`` says why the last try failed; ``strikes`` counts the tries that failed since the last that did not. ``refused`` is told of
    every record that the tracker will never have.
    """

    name: str
    backend: Tracker
    folder: Path
    clock: Clock
    refused: Callable[[str], None] = field(repr=False)
    failing: str = field(default="", init=False)
    strikes: int = field(default=0, init=False)
    _places: dict[Stream, _Place] = field(factory=dict, init=False, repr=False)

    def hurry(self) -> None:
        """Somebody waits: try at once what waits for its next try."""
        self.strikes = 0
        for place in list(self._places.values()):
            place.retry_at = 0.0

    def advance(self, stream: Stream, *, waited_for: bool) -> bool | None:
        """Deliver one group; True if there was one, False if there is none (yet), None if it is not the time or failed."""
        place = self._places.setdefault(stream, _Place())
        if self.clock.monotonic() < place.retry_at:
            return None
        try:
            moved = self._deliver(stream, place)
        except Exception as error:  # noqa: BLE001  whatever a backend raises is an outage of that tracker only
            self._failed(place, error, waited_for=waited_for)
            return None
        place.failures, place.failing = 0, ""
        if moved:
            self.failing, self.strikes = "", 0
        return moved

    def leave(self, stream: Stream) -> None:
        """The tracker has all of a stream."""
        self._places.pop(stream, _Place()).close()

    def close(self) -> None:
        """Close the files."""
        for place in self._places.values():
            place.close()

    def _deliver(self, stream: Stream, place: _Place) -> bool:
        spool = stream.spool
        mark = spool.mark(self.name)
        if place.follower is None or place.at != mark.done:
            place.close()
            place.follower = spool.follow(mark.done)
        group = place.follower.take(_GROUP, upto=mark.sent if mark.sent > mark.done else None)
        place.at = mark.done if not group else -1  # behind records that are not delivered yet: read again next time
        if not group:
            return False
        last = group[-1][0]
        spool.set_mark(self.name, Mark(mark.done, last))
        if place.failures < _TRIES:
            self._apply(stream, group)
        else:
            self._one_by_one(stream, group)
        spool.set_mark(self.name, Mark(last, last))
        place.at = last
        return True

    def _apply(self, stream: Stream, group: list[Numbered]) -> None:
        for refusal in apply(self.backend, stream.spool.writer, group, self.folder):
            _log.warning("tracker %s: refused a record: %s", self.name, refusal.message)
            self.refused(refusal.message)

    def _one_by_one(self, stream: Stream, group: list[Numbered]) -> None:
        """A record that fails again where an empty one of the same run passes is to blame itself, and is set aside."""
        last = group[-1][0]
        for one in group:
            try:
                self._apply(stream, [one])
            except Exception as error:
                if one[1]["kind"] != "batch":  # an artifact's store may be down on its own; the rest holds nothing of a caller's
                    raise
                probe(self.backend, stream.spool.writer, one)
                self._set_aside(stream, one[1], error)
            stream.spool.set_mark(self.name, Mark(one[0], last))

    def _set_aside(self, stream: Stream, record: dict[str, Any], error: Exception) -> None:
        kept = stream.spool.path.with_suffix(".rejected")
        with kept.open("a", encoding="ascii") as file:
            file.write(json.dumps({"tracker": self.name, "error": _reason(error), "record": record}) + "\n")
        message = f"run {record['run']['run_id']}: a record cannot be delivered ({_reason(error)}) - it is kept in {kept}"
        _log.warning("tracker %s: %s", self.name, message)
        self.refused(message)

    def _failed(self, place: _Place, error: Exception, *, waited_for: bool) -> None:
        reason = _reason(error)
        if reason not in {place.failing, self.failing}:
            _log.warning("tracker %s: cannot be reached (%s) - the run goes on, its records are kept and sent later", self.name, reason)
        pause = _SHORTEST_PAUSE if waited_for else _PAUSES[min(place.failures, len(_PAUSES) - 1)]
        place.failures += 1
        place.retry_at = self.clock.monotonic() + pause
        self.strikes += 1
        place.failing = self.failing = reason


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, MLOpsError) else f"{type(error).__name__}: {error}".partition("\n")[0]
