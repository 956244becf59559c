"""Moving a registry: copy, seal the old store, copy what came meanwhile, compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlops_core.clock import SystemClock
from mlops_core.exceptions import MLOpsError, VersioningError
from mlops_core.journal import Head, update
from mlops_core.names import check_name
from mlops_core.records import NewEntry
from mlops_core.stack.sealed import SEAL, SEAL_LOOK, SEAL_TENANT
from mlops_core.versioning.comparing import Compared, compare_tenant
from mlops_core.versioning.copying import copy_tenant
from mlops_core.versioning.walking import heads_of, tenants_of, versions_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlops_core.records import Entry
    from mlops_core.roles import Clock, RegistryStore

__all__ = ["copy_registry", "move_registry", "seal", "unseal"]

_SETTLE: Final = 2 * SEAL_LOOK  # until every writer has looked at the seal again
_PASSES: Final = 10


def copy_registry(
    source: RegistryStore,
    target: RegistryStore,
    tenants: Sequence[str] | None = None,
    *,
    known: dict[tuple[str, str], int] | None = None,
    said: Callable[[str], object] = str,
) -> tuple[Compared, ...]:
    """Copy tenants, all by default, and compare what was copied. The source stays in use: ``behind`` tells what came meanwhile.

    ``known``: see ``compare_tenant``. ``said`` hears what is being done.

    Raises:
        VersioningError: The stores diverged, or there is no such tenant.
        ArtifactError: A blob of either store is missing or damaged.
    """
    there = _tenants(source)
    for tenant in tenants or ():
        if check_name(tenant, "tenant", VersioningError) not in there:
            raise VersioningError(f"copy: the source has no tenant {tenant!r} (there are: {', '.join(there[:5]) or 'none'})")
    wanted = there if tenants is None else tuple(tenants)
    for tenant in wanted:
        copy_tenant(source, target, tenant, said)
    said("comparing")
    return tuple(compare_tenant(source, target, tenant, known) for tenant in wanted)


def move_registry(
    source: RegistryStore, target: RegistryStore, to: str, *, clock: Clock | None = None, said: Callable[[str], object] = str
) -> tuple[Compared, ...]:
    """Copy everything, seal the source, and copy again until nothing is behind. ``to`` says in the seal where the records went.

    A writer looks at the seal once a second, so the last copy begins two seconds after it. A write that began before the seal and takes
    longer than that may come too late to be copied: a further call finds it.

    Raises:
        VersioningError: The stores diverged, or the source does not come to rest.
        ArtifactError: A blob of either store is missing or damaged.
    """
    clock = clock or SystemClock()
    known: dict[tuple[str, str], int] = {}  # so that blobs are read back while the source is still in use, and not again behind the seal
    copy_registry(source, target, known=known, said=said)
    seal(source, to, clock=clock)
    if _newest(source) == _newest(target):
        unseal(source, clock=clock)
        raise VersioningError("copy: source and target are the same store by two names - give another target")
    try:
        for _ in range(_PASSES):
            said("waiting for the writers to see the seal")
            clock.sleep(_SETTLE)
            found = copy_registry(source, target, known=known, said=said)
            if not any(one.behind for one in found):
                return found
    except MLOpsError as error:
        raise VersioningError(f"{error.message} (the source stays sealed: `mlops registry unseal` opens it again)") from error
    raise VersioningError(
        "copy: the source does not come to rest although it is sealed - stop the programs that write to it, and copy again"
    )


def seal(store: RegistryStore, to: str, *, clock: Clock | None = None) -> None:
    """Let the store refuse writes. Sealing it again changes nothing but where its records went."""
    now = (clock or SystemClock()).now()

    def decide(head: Head) -> NewEntry | None:
        sealed = bool(head.state.get("sealed"))
        if sealed and head.state.get("to") == to:
            return None
        since = head.state["since"] if sealed else now.isoformat(timespec="seconds")
        return NewEntry(now, "seal", state={"sealed": True, "to": to, "since": since})

    update(store, SEAL_TENANT, SEAL, decide)


def unseal(store: RegistryStore, *, clock: Clock | None = None) -> bool:
    """Let the store take writes again; answers whether it was sealed. What is written now is in no copy."""
    now = (clock or SystemClock()).now()

    def decide(head: Head) -> NewEntry | None:
        return NewEntry(now, "unseal", state={"sealed": False}) if head.state.get("sealed") else None

    return update(store, SEAL_TENANT, SEAL, decide) is not None


def _newest(store: RegistryStore) -> Sequence[Entry]:
    return tuple(store.read(SEAL_TENANT, SEAL, limit=1, newest_first=True))


def _tenants(store: RegistryStore) -> tuple[str, ...]:
    """Those with a record beside the seal."""
    return tuple(
        tenant
        for tenant in tenants_of(store)
        if tenant != SEAL_TENANT or next(heads_of(store, tenant), None) is not None or next(versions_of(store, tenant), None) is not None
    )
