"""``sink.sqlite``: segments and the prediction log in one file that many processes write and read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from attrs import define, field

from mlops_sink_sql.file import DatabaseFile
from mlops_sink_sql.sink import SqlSink

if TYPE_CHECKING:
    from mlops_sink_sql.database import Database

__all__ = ["SqliteSink"]


@define(eq=False)
class SqliteSink(SqlSink):
    """Segments in one SQLite file. Process-safe: what was written survives the death of any process; the last moments may go with power."""

    contract: ClassVar[int] = 1

    path: Path = field(
        default=Path(".mlops/monitoring.db"), converter=Path, metadata={"help": "the file; created with its folder when missing"}
    )
    busy_timeout: float = field(default=30.0, metadata={"help": "seconds that a writer waits for the others"})
    _file: DatabaseFile = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._file = DatabaseFile(self.path.absolute(), self.busy_timeout)

    @property
    def database(self) -> Database:
        """The file."""
        return self._file
