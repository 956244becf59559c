"""The registry role over a relational database and a folder of blobs."""

from __future__ import annotations

import uuid
from abc import abstractmethod
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from mlops_core.exceptions import ArtifactError, ConflictError, VersioningError
from mlops_core.records import Blob, JournalHead, Leftover, ModelVersion, Page
from mlops_core.roles import RegistryStore
from mlops_registry_sql.database import CollisionError
from mlops_registry_sql.rows import entry_of, entry_row, field_rows, version_of, version_row
from mlops_registry_sql.schema import version as version_table
from mlops_registry_sql.search import candidates, is_exact, sorts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import ClauseElement, Select

    from mlops_core.records import Entry, NewEntry, Query
    from mlops_core.roles import Progress
    from mlops_registry_sql.database import Database, Transaction
    from mlops_registry_sql.owner import Owner
    from mlops_registry_sql.places import BlobPlace, Found
    from mlops_registry_sql.statements import Statements

__all__ = ["SqlRegistry"]

_LAST_NAME = "\U0010ffff"
_BATCH = 500
_DIGITS = 64
_RETIREMENTS = 100
_COLLISIONS = 10


class _Add(Protocol):
    """Adds a version in a transaction; ``looking`` first at what is there."""

    def __call__(self, transaction: Transaction, *, looking: bool) -> ModelVersion: ...


class SqlRegistry(RegistryStore):
    """What every database shares; a subclass says which database, which folder and which statements."""

    __slots__ = ()

    @property
    @abstractmethod
    def database(self) -> Database:
        """Connections and transactions."""

    @property
    @abstractmethod
    def statements(self) -> Statements:
        """The database's statements."""

    @property
    @abstractmethod
    def blobs(self) -> BlobPlace:
        """Where artifacts lie."""

    @property
    @abstractmethod
    def owner(self) -> Owner | None:
        """Who keeps other registries out of that place; None where it is nobody else's by its name."""

    def _own_place(self, *, claim: bool) -> None:
        if self.owner is not None:
            self.owner.check(self._identity, claim=claim)

    def _identity(self) -> str:
        """What this database is known by, made when it is first asked for."""
        return str(self.database.write_one(self.statements.identity, {"value": uuid.uuid4().hex})[0][0])

    def check(self) -> None:
        """Connect, and bring the schema."""
        self.database.open()

    def close(self) -> None:
        """Close the connections of this process."""
        self.database.close()
        self.blobs.close()

    # --- versions

    def add_version(self, version: ModelVersion) -> ModelVersion:
        """Add a version, its searchable metadata and its claim to its blobs, in one transaction."""

        def add(transaction: Transaction, *, looking: bool) -> ModelVersion:
            if stored := self._stored(transaction, version.tenant, version.model, version.key):
                return stored
            following = version.number and self._following(transaction, version.tenant, version.model)
            if following != version.number:
                raise ConflictError(f"registry: the next number of {version.model!r} is {following}, not {version.number}")
            return self._add(transaction, version, looking=looking)

        return self._until_settled(add)

    def add_next_version(self, tenant: str, model: str, make: Callable[[int], ModelVersion], *, key: str | None = None) -> ModelVersion:
        """The number and its version are one transaction: a rolled back one gives the number back."""

        def add(transaction: Transaction, *, looking: bool) -> ModelVersion:
            if key is not None and (stored := self._stored(transaction, tenant, model, key)):
                return stored
            return self._add(transaction, make(self._following(transaction, tenant, model)), looking=looking)

        return self._until_settled(add)

    def _until_settled(self, add: _Add) -> ModelVersion:
        """Add without looking at what is there; where that collides, look first, until what is there can be seen."""
        for attempt in range(_COLLISIONS):
            with suppress(CollisionError), self.database.write() as transaction:
                return add(transaction, looking=attempt > 0)
        with self.database.write() as transaction:
            return add(transaction, looking=True)

    def _following(self, transaction: Transaction, tenant: str, model: str) -> int:
        """The next number; it is given back if the transaction is rolled back."""
        return int(transaction.run(self.statements.next_number, {"tenant": tenant, "name": model})[0][0])

    def _stored(self, transaction: Transaction, tenant: str, model: str, key: str) -> ModelVersion | None:
        rows = transaction.run(self.statements.version_by_key, {"tenant": tenant, "model": model, "key": key})
        return version_of(*rows[0]) if rows else None

    def _add(self, transaction: Transaction, version: ModelVersion, *, looking: bool) -> ModelVersion:
        row = version_row(version)
        if looking and (stored := self._stored(transaction, version.tenant, version.model, version.key)):
            transaction.undo()
            return stored
        if looking and transaction.run(self.statements.version_by_name, row):
            raise ConflictError(f"registry: version {version.version!r} of {version.model!r} is taken - give another version")
        missing = next((blob for blob in version.blobs() if not self._claims(transaction, version, blob)), None)
        if missing is not None:  # a taken name is told before a missing blob
            kind = ArtifactError if looking else CollisionError
            raise kind(f"registry: {version.model} {version.version}: no blob {missing.sha256} in the store - put it first")
        transaction.run(self.statements.add_version, row)
        transaction.run_many(self.statements.add_fields, list(field_rows(version)))
        return version

    def _claims(self, transaction: Transaction, version: ModelVersion, blob: Blob) -> bool:
        """Claim a blob before looking whether it is there, healthy: from here on no sweep can take it."""
        mine = {"tenant": version.tenant, "sha256": blob.sha256}
        transaction.run(self.statements.use_blob, {**mine, "holder": f"versions/{version.model}/{version.version}"})
        known = transaction.run(self.statements.blob, mine)
        return bool(known) and known[0][0] == blob.size and self.blobs.holds(version.tenant, blob, known[0][1])

    def get_version(self, tenant: str, model: str, version: str) -> ModelVersion | None:
        """One read by the unique key."""
        rows = self.database.read(self.statements.version_by_name, {"tenant": tenant, "model": model, "version": version})
        return version_of(*rows[0]) if rows else None

    def find_versions(self, tenant: str, query: Query, *, retired: bool = False, newest_first: bool = False) -> Page[ModelVersion]:
        """Narrowed and sorted by the indexes where they can, decided by the query itself.

        The cursor is the last sequence of the page before, or, in a query that orders, the number of versions before.
        """
        found = self._matching(candidates(tenant, query, retired=retired, newest_first=newest_first), query, newest_first=newest_first)
        if not sorts(query):
            return query.apply((one for _, one in found), ModelVersion.fields)
        if query.order_by:
            before = int(query.cursor or 0)
            skipped = before if is_exact(query) else 0
            found = islice(enumerate((one for _, one in found), skipped + 1), before - skipped, None)
        taken = list(islice(found, query.limit))
        more = bool(taken) and next(found, None) is not None
        return Page(tuple(one for _, one in taken), str(taken[-1][0]) if more else None)

    def _matching(self, statement: Select[Any], query: Query, *, newest_first: bool) -> Iterator[tuple[int, ModelVersion]]:
        """Matches with their sequence, read in batches: what a page does not need is not read.

        Each batch is twice as long as the one before, since a page of few matches may lie behind many versions. In a query that orders, the
        database sorts anew for each: there they grow without end, so that it sorts a few times only.
        """

        def behind(sequence: int) -> Select[Any]:
            column = version_table.c.sequence
            return statement.where(column < sequence if newest_first else column > sequence)

        exact = is_exact(query)
        batch = None if query.limit is None or not sorts(query) else min(query.limit + 1, _BATCH)
        offset = int(query.cursor or 0) if exact and query.order_by and sorts(query) else 0
        part = statement.offset(offset) if query.order_by or query.cursor is None else behind(int(query.cursor))
        while True:
            rows = self.database.select(part.limit(batch))
            found = ((sequence, version_of(body, retired)) for sequence, body, retired in rows)
            yield from found if exact else ((sequence, one) for sequence, one in found if query.matches(one.fields()))
            if batch is None or len(rows) < batch:
                return
            offset, batch = offset + batch, batch * 2 if query.order_by else min(batch * 2, _BATCH)
            part = statement.offset(offset) if query.order_by else behind(rows[-1][0])

    def models(self, tenant: str, *, cursor: str | None = None, limit: int = 1000) -> Page[str]:
        """By the index of living models, one step a name."""
        names = tuple(islice(self._names(self.statements.next_model, tenant=tenant, after=cursor or ""), limit + 1))
        return Page(names[:limit], names[limit - 1] if len(names) > limit else None)

    def _names(self, statement: ClauseElement, *, after: str, **parameters: str) -> Iterator[str]:
        """Distinct names in order, each found behind the one before: DISTINCT would read every row."""
        while (row := self.database.read(statement, {**parameters, "after": after})[0])[0] is not None:
            after = row[0]
            yield after

    def retire_version(self, tenant: str, model: str, version: str, tombstone: NewEntry) -> None:
        """Mark the row and append the tombstone, in one transaction. Retiring it again changes nothing.

        Another writer may append to the same journal at that moment: then once more, behind what it appended.
        """
        for _ in range(_RETIREMENTS):
            with suppress(ConflictError):
                return self._retire(tenant, model, version, tombstone)
        return self._retire(tenant, model, version, tombstone)

    def _retire(self, tenant: str, model: str, version: str, tombstone: NewEntry) -> None:
        mine = {"tenant": tenant, "model": model, "version": version}
        with self.database.write() as transaction:
            if not transaction.run(self.statements.version_by_name, mine):
                raise VersioningError(f"registry: no version {version!r} of {model!r}")
            if transaction.run(self.statements.retire, mine):
                journal = {"tenant": tenant, "journal": f"versions/{model}"}
                head = transaction.run(self.statements.head, journal)[0][0]
                self._append(transaction, {**journal, "expected": head, **entry_row(tombstone)}, tombstone)

    # --- journals

    def append(self, tenant: str, journal: str, expected: int, entry: NewEntry) -> Entry:
        """One statement that inserts only behind the expected head."""
        row = {"tenant": tenant, "journal": journal, "expected": expected, **entry_row(entry)}
        if entry.digests():
            return self._append_naming(row, entry)
        if not self.database.write_one(self.statements.append, row):
            raise _behind(journal, expected, self.database.read(self.statements.head, row)[0][0])
        return _appended(row)

    def _append_naming(self, row: Mapping[str, Any], entry: NewEntry) -> Entry:
        """With a claim to the blobs that it names; once more where a sweep takes one at that moment."""
        for _ in range(_COLLISIONS):
            with suppress(CollisionError), self.database.write() as transaction:
                return self._append(transaction, row, entry)
        with self.database.write() as transaction:
            return self._append(transaction, row, entry)

    def _append(self, transaction: Transaction, row: Mapping[str, Any], entry: NewEntry) -> Entry:
        if not transaction.run(self.statements.append, row):
            raise _behind(row["journal"], row["expected"], transaction.run(self.statements.head, row)[0][0])
        for digest in entry.digests():
            transaction.run(self.statements.use_blob, {"tenant": row["tenant"], "sha256": digest, "holder": row["journal"]})
        return _appended(row)

    def read(self, tenant: str, journal: str, *, after: int = 0, limit: int = 1000, newest_first: bool = False) -> Sequence[Entry]:
        """Entries by position."""
        statement = self.statements.newest_first if newest_first else self.statements.oldest_first
        rows = self.database.read(statement, {"tenant": tenant, "journal": journal, "after": after, "limit": limit})
        return tuple(entry_of(tenant, journal, row) for row in rows)

    def entry_of(self, tenant: str, journal: str, key: str) -> Entry | None:
        """By the index of keys."""
        rows = self.database.read(self.statements.entry_by_key, {"tenant": tenant, "journal": journal, "key": key})
        return entry_of(tenant, journal, rows[0]) if rows else None

    def journals(self, tenant: str, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[JournalHead]:
        """Journals by name; the cursor is the last name of the page before."""
        span = {"first": prefix, "end": prefix + _LAST_NAME, "after": cursor or ""}
        rows = self.database.read(self.statements.journals, {"tenant": tenant, "limit": limit + 1, **span})
        heads = tuple(JournalHead(*row) for row in rows[:limit])
        return Page(heads, heads[-1].name if len(rows) > limit else None)

    def lease(self, tenant: str, name: str, owner: str, ttl: timedelta) -> bool:
        """Times are the database's."""
        mine = {"tenant": tenant, "name": name, "owner": owner}
        if ttl > timedelta(0):
            return bool(self.database.write_one(self.statements.take_lease, {**mine, "seconds": ttl.total_seconds()}))
        with self.database.write() as transaction:
            transaction.run(self.statements.drop_lease, mine)
            return not transaction.run(self.statements.lease_holder, mine)

    # --- artifacts

    def put_artifact(
        self, tenant: str, source: BinaryIO, *, size: int, sha256: str | None = None, progress: Progress | None = None
    ) -> Blob:
        """Stream the bytes to their place; the transaction that records them names them, so that a sweep runs before it or after it.

        The row is written first, which keeps a sweep of it waiting until the file is there.
        """
        with self.database.errors():
            self._own_place(claim=True)
        with self.database.errors(), self.blobs.writing(tenant, source, size, sha256, progress) as written:
            blob = Blob(written.sha256, size)
            mine = {"tenant": tenant, "sha256": blob.sha256, "size": size, "location": written.location}
            with self.database.write() as transaction:
                kept = transaction.run(self.statements.touch_blob, mine)[0][0]
                if kept != written.location and (written.location == "" or self.blobs.holds(tenant, blob, kept)):
                    return blob
                if kept != written.location:
                    transaction.run(self.statements.move_blob, {**mine, "to": written.location})
                self.blobs.place(written, tenant)
            return blob

    def is_kept(self, tenant: str, sha256: str, size: int) -> bool:
        """Whether a blob is there, healthy; if so, its grace begins anew."""
        mine = {"tenant": tenant, "sha256": sha256, "size": size}
        found = self.database.write_one(self.statements.touch_kept_blob, mine)
        return bool(found) and self.blobs.holds(tenant, Blob(sha256, size), found[0][0])

    def open_artifact(self, tenant: str, blob: Blob, *, offset: int = 0) -> BinaryIO:
        """The blob's bytes, from its place."""
        with self.database.errors():
            return self.blobs.open(tenant, blob, self._location(tenant, blob), offset)

    def _location(self, tenant: str, blob: Blob) -> str:
        rows = self.database.read(self.statements.blob, {"tenant": tenant, "sha256": blob.sha256}) if self.blobs.named_anew else ()
        return str(rows[0][1]) if rows else ""

    def leftovers(self, grace: timedelta) -> Iterator[Leftover]:
        """Dead writers' temporary files, blobs that nothing names, and files that no transaction recorded."""
        least = grace.total_seconds()
        self.database.open()
        with self.database.errors():
            self._own_place(claim=False)
            for location, size, age in self.blobs.abandoned():
                if age >= least:
                    yield Leftover("temporary", location, size, age)
            for tenant, digest, size, age in self.database.read(self.statements.unused_blobs, {"least": least}):
                yield Leftover("blob", f"{tenant}/{digest}", size, age, tenant)
            for found in self.blobs.files():
                if found.age >= least and not self._is_recorded(found):
                    yield Leftover("file", f"{found.tenant}/{found.sha256}{found.location}", found.size, found.age, found.tenant)

    def _is_recorded(self, found: Found) -> bool:
        rows = self.database.read(self.statements.blob, {"tenant": found.tenant, "sha256": found.sha256})
        return bool(rows) and rows[0][1] == found.location

    def discard(self, leftover: Leftover) -> bool:
        """Checked again inside a write transaction, where no version can claim the blob and no writer put it."""
        tenant, _, place = leftover.location.partition("/")
        mine = {"tenant": tenant, "sha256": place[:_DIGITS], "location": place[_DIGITS:]}
        try:
            with self.database.write() as transaction:
                match leftover.kind:
                    case "temporary":
                        return self.blobs.drop_abandoned(leftover.location)
                    case "blob":
                        return self._discard_blob(transaction, mine, leftover.age)
                    case "file":
                        return self._discard_file(transaction, mine, leftover)
                return False
        except CollisionError:  # a version claimed it meanwhile
            return False

    def _discard_blob(self, transaction: Transaction, mine: dict[str, str], age: float) -> bool:
        dropped = transaction.run(self.statements.drop_unused_blob, {**mine, "least": age})
        for (location,) in dropped:
            self.blobs.remove(mine["tenant"], mine["sha256"], location)
        return bool(dropped)

    def _discard_file(self, transaction: Transaction, mine: dict[str, str], leftover: Leftover) -> bool:
        """The row is claimed meanwhile, so that a writer of these bytes waits; none stays."""
        claimed = transaction.run(self.statements.claim_blob, {**mine, "size": leftover.size})
        recorded = transaction.run(self.statements.blob, mine)
        if not claimed and recorded[0][1] == mine["location"]:
            return False
        removed = self.blobs.remove_older(mine["tenant"], mine["sha256"], mine["location"], leftover.age)
        transaction.undo()
        return removed

    def tenants(self, *, cursor: str | None = None) -> Page[str]:
        """Tenants with a version or a journal."""
        return Page(tuple(self._names(self.statements.next_tenant, after=cursor or "")))


def _behind(journal: str, expected: int, head: int) -> ConflictError:
    return ConflictError(f"registry: journal {journal} is at {head}, not {expected}", head=head)


def _appended(row: Mapping[str, Any]) -> Entry:
    """The entry, as it will be read."""
    stored = (row[name] for name in ("at", "kind", "key", "change", "state"))
    return entry_of(row["tenant"], row["journal"], (row["expected"] + 1, *stored))
