"""A connection to PostgreSQL that does not wait for ever: a server can be silent though its host takes every byte.

TCP tells of a host that is gone. Of a server that is stopped, or of a proxy whose server is gone, it tells nothing.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, ClassVar

from psycopg import Connection, OperationalError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["PatientConnection"]


class PatientConnection(Connection[Any]):
    """``patience`` is how many seconds of silence are taken for a lost server; the connection is closed then."""

    patience: ClassVar[float] = 60.0

    @classmethod
    def within(cls, seconds: float) -> type[PatientConnection]:
        """The class for connections of this patience."""
        return type(cls.__name__, (cls,), {"patience": seconds})

    def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **named: Any) -> Any:
        """As psycopg does, but not for ever. Interrupted, as by Ctrl-C, it closes: what it was amid, leaving a pipeline would only hide."""
        try:
            return super().wait(self._heard(gen), *arguments, **named)
        except BaseException as error:
            if not isinstance(error, Exception):
                self.close()
            raise

    def _heard(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """The same steps; each time that psycopg looks up in vain, the silence is longer."""
        try:
            wanted = next(gen)
            last = time.monotonic()
            while True:
                ready = yield wanted
                now = time.monotonic()
                if ready:
                    last = now
                elif now - last > self.patience:
                    self.close()
                    raise OperationalError(f"the server was silent for {self.patience:g} s")
                wanted = gen.send(ready)
        except StopIteration as ended:
            return ended.value


def _is_news(record: logging.LogRecord) -> bool:
    """False for what psycopg writes beside an error that is raised anyway: that the pipeline of a lost connection cannot be ended."""
    told = record.args if isinstance(record.args, tuple) else ()
    ours = any(isinstance(getattr(one, "_conn", None), PatientConnection) for one in told)
    return not (ours and str(record.msg).startswith("error ignored terminating"))


logging.getLogger("psycopg").addFilter(_is_news)
