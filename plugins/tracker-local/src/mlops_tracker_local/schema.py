"""Tables, and how the schema of each release becomes that of the next. No step is changed later.

Times of runs are ISO 8601 in UTC, which is how filters see them; those of points are whole microseconds since 1970. SQLite knows no NaN:
a measured NULL is one; nor a negative zero, which is kept as zero. Texts compare by code points, as Python's do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlops_core.exceptions import MLOpsError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

__all__ = ["STEPS", "bring_schema"]

_OURS: Final = 0x6D6C7472
"""SQLite's ``application_id`` of this plugin's files: ``mltr``."""

STEPS: Mapping[int, Sequence[str]] = {
    1: (
        "CREATE TABLE experiment (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (tenant, name))",
        """CREATE TABLE experiment_tag (experiment INTEGER NOT NULL REFERENCES experiment, name TEXT NOT NULL, value TEXT NOT NULL,
           PRIMARY KEY (experiment, name)) WITHOUT ROWID""",
        """CREATE TABLE run (id INTEGER PRIMARY KEY, experiment INTEGER NOT NULL REFERENCES experiment, run_id TEXT NOT NULL,
           name TEXT NOT NULL, status TEXT NOT NULL, started TEXT NOT NULL, ended TEXT, parent TEXT, UNIQUE (experiment, run_id))""",
        """CREATE TABLE param (run INTEGER NOT NULL REFERENCES run, name TEXT NOT NULL, value TEXT NOT NULL,
           PRIMARY KEY (run, name)) WITHOUT ROWID""",
        """CREATE TABLE tag (run INTEGER NOT NULL REFERENCES run, name TEXT NOT NULL, value TEXT NOT NULL,
           PRIMARY KEY (run, name)) WITHOUT ROWID""",
        # The value at the highest step, beside how many points there are: a search reads no history.
        """CREATE TABLE metric (id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run, name TEXT NOT NULL, value REAL,
           step INTEGER NOT NULL, points INTEGER NOT NULL)""",
        "CREATE UNIQUE INDEX metric_of_run ON metric (run, name)",
        """CREATE TABLE point (metric INTEGER NOT NULL REFERENCES metric, number INTEGER NOT NULL, step INTEGER NOT NULL,
           at INTEGER NOT NULL, value REAL, PRIMARY KEY (metric, number)) WITHOUT ROWID""",
        """CREATE TABLE mark (run INTEGER NOT NULL REFERENCES run, writer TEXT NOT NULL, sequence INTEGER NOT NULL,
           PRIMARY KEY (run, writer)) WITHOUT ROWID""",
    ),
}
"""By the schema version that each step leads to: its statements."""


def bring_schema(connection: sqlite3.Connection, place: str) -> None:
    """Take every step that is due, in one transaction: all of them or none.

    Raises:
        MLOpsError: The tables are those of a later release, or of another program; nothing was changed.
    """
    newest = max(STEPS)
    connection.execute("BEGIN")  # or the answers would be of several moments, between which another process makes the tables
    stored = _stored(connection, place)
    connection.execute("COMMIT")
    if stored == newest:
        return
    connection.execute("BEGIN IMMEDIATE")
    stored = _stored(connection, place)  # again: another process may have had its turn
    if stored > newest:
        raise MLOpsError(f"{place} has schema {stored}, this release knows {newest} - upgrade motadata-mlops-tracker-local")
    for version, statements in sorted(STEPS.items()):
        if version > stored:
            for statement in statements:
                connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_OURS}")
    connection.execute(f"PRAGMA user_version = {newest}")
    connection.execute("COMMIT")


def _stored(connection: sqlite3.Connection, place: str) -> int:
    """The schema version of the file, 0 for a new one."""
    (owner,), (version,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version"))
    if owner != _OURS and (owner or connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()):
        raise MLOpsError(f"{place} is another program's database - name another file in 'path'")
    return int(version)
