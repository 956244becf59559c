"""Every statement, built once: plain Core builds and hashes them at each call, which costs more than SQLite's own work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Float, bindparam, delete, exists, func, insert, select, update

from mlops_registry_sql.schema import blob, blob_use, entry, info, lease, model, version, version_field

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Select, Table
    from sqlalchemy.sql import ColumnElement

__all__ = ["Statements"]


def _bind(table: Table, column: str, name: str | None = None) -> Any:
    return bindparam(name or column, type_=table.c[column].type)


def _where(table: Table, *columns: str) -> tuple[Any, ...]:
    return tuple(table.c[column] == _bind(table, column) for column in columns)


class Statements:
    """``insert_or`` is the dialect's INSERT with ON CONFLICT; ``now`` the database's clock in seconds since 1970."""

    def __init__(self, insert_or: Callable[[Table], Any], now: ColumnElement[Any]) -> None:
        self._insert_or = insert_or
        self._now = now
        self.schema_version = select(info.c.value).where(info.c.name == "schema")
        told = insert_or(info).values(name="schema", value=_bind(info, "value"))
        self.set_schema_version = told.on_conflict_do_update(index_elements=["name"], set_={"value": _bind(info, "value")})
        named = insert_or(info).values(name="registry", value=_bind(info, "value"))
        self.identity = named.on_conflict_do_update(index_elements=["name"], set_={"value": info.c.value}).returning(info.c.value)
        self.store_time = select(now)
        self._versions()
        self._journals()
        self._leases()
        self._blobs()

    def _versions(self) -> None:
        counter = self._insert_or(model).values(tenant=_bind(model, "tenant"), name=_bind(model, "name"), last_number=1)
        self.next_number = counter.on_conflict_do_update(
            index_elements=["tenant", "name"], set_={"last_number": model.c.last_number + 1}
        ).returning(model.c.last_number)
        self.add_version = insert(version).values({name: _bind(version, name) for name in version.c.keys() if name != "sequence"})  # noqa: SIM118  a column collection is no mapping
        stored = select(version.c.body, version.c.retired)
        self.version_by_name = stored.where(*_where(version, "tenant", "model", "version"))
        self.version_by_key = stored.where(*_where(version, "tenant", "model", "key"))
        self.add_fields = insert(version_field).values({name: _bind(version_field, name) for name in version_field.c.keys()})  # noqa: SIM118  the same
        name = version.c.model
        living = (version.c.tenant == _bind(version, "tenant"), version.c.retired == 0, name > _bind(version, "model", "after"))
        self.next_model = select(func.min(name)).where(*living)
        self.retire = (
            update(version)
            .where(*_where(version, "tenant", "model", "version"), version.c.retired == 0)
            .values(retired=1)
            .returning(version.c.version)
        )

    def _journals(self) -> None:
        mine = _where(entry, "tenant", "journal")
        self.next_tenant = _next_tenant()
        self.head = select(func.coalesce(func.max(entry.c.position), 0)).where(*mine)
        expected = _bind(entry, "position", "expected")
        names = list(entry.c.keys())
        values = [expected + 1 if name == "position" else _bind(entry, name) for name in names]
        behind = self._insert_or(entry).from_select(names, select(*values).where(self.head.scalar_subquery() == expected))
        self.append = behind.on_conflict_do_nothing().returning(entry.c.position)  # another writer may have seen the same head
        stored = select(*(entry.c[name] for name in names[2:])).where(*mine)
        after = stored.where(entry.c.position > _bind(entry, "position", "after"))
        limit = bindparam("limit", type_=entry.c.position.type)
        self.oldest_first = after.order_by(entry.c.position).limit(limit)
        self.newest_first = after.order_by(entry.c.position.desc()).limit(limit)
        self.entry_by_key = stored.where(entry.c.key == _bind(entry, "key")).order_by(entry.c.position).limit(1)
        name = entry.c.journal
        self.journals = (
            select(name, func.max(entry.c.position))
            .where(entry.c.tenant == _bind(entry, "tenant"), name > _bind(entry, "journal", "after"))
            .where(name >= _bind(entry, "journal", "first"), name < _bind(entry, "journal", "end"))
            .group_by(name)
            .order_by(name)
            .limit(limit)
        )

    def _leases(self) -> None:
        until = self._now + bindparam("seconds", type_=Float())
        given = {"tenant": _bind(lease, "tenant"), "name": _bind(lease, "name"), "owner": _bind(lease, "owner"), "expires": until}
        free = (lease.c.owner == _bind(lease, "owner")) | (lease.c.expires <= self._now)
        taken = {"owner": _bind(lease, "owner"), "expires": until}
        self.take_lease = (
            self._insert_or(lease)
            .values(given)
            .on_conflict_do_update(index_elements=["tenant", "name"], set_=taken, where=free)
            .returning(lease.c.owner)
        )
        self.drop_lease = delete(lease).where(*_where(lease, "tenant", "name", "owner"))
        self.lease_holder = select(lease.c.owner).where(*_where(lease, "tenant", "name"), lease.c.expires > self._now)

    def _blobs(self) -> None:
        names = ("tenant", "sha256", "size", "location")
        fresh = self._insert_or(blob).values(touched=self._now, **{name: _bind(blob, name) for name in names})
        same = ["tenant", "sha256"]
        self.touch_blob = fresh.on_conflict_do_update(index_elements=same, set_={"touched": self._now}).returning(blob.c.location)
        sized = (*_where(blob, *same), blob.c.size == _bind(blob, "size"))
        self.touch_kept_blob = update(blob).where(*sized).values(touched=self._now).returning(blob.c.location)
        self.move_blob = update(blob).where(*_where(blob, *same)).values(location=_bind(blob, "location", "to"))
        self.claim_blob = fresh.on_conflict_do_nothing().returning(blob.c.location)
        mine = _where(blob, *same)
        self.blob = select(blob.c.size, blob.c.location).where(*mine)
        # Selected from the blobs themselves: a journal may name a digest that is no blob of this store.
        used = select(blob.c.tenant, blob.c.sha256, _bind(blob_use, "holder")).where(*mine)
        self.use_blob = self._insert_or(blob_use).from_select([*same, "holder"], used).on_conflict_do_nothing()
        unused = ~exists().where(blob_use.c.tenant == blob.c.tenant, blob_use.c.sha256 == blob.c.sha256)
        age = (self._now - blob.c.touched).label("age")
        least = bindparam("least", type_=Float())
        self.unused_blobs = select(blob.c.tenant, blob.c.sha256, blob.c.size, age).where(unused, age >= least)
        self.drop_unused_blob = delete(blob).where(*mine, unused, self._now - blob.c.touched >= least).returning(blob.c.location)


def _next_tenant() -> Select[tuple[str]]:
    tables = (version, entry)
    least = [select(func.min(table.c.tenant).label("tenant")).where(table.c.tenant > _bind(table, "tenant", "after")) for table in tables]
    both = least[0].union_all(least[1]).subquery()
    return select(func.min(both.c.tenant))
