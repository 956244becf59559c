"""Whatever is done, in whatever order: S3 answers what the reference in memory answers."""

from __future__ import annotations

import uuid
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
from attrs import evolve
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule, run_state_machine_as_test

from mlops_core.exceptions import MLOpsError
from mlops_core.records import And, Blob, Comparison, File, Leftover, ModelVersion, Not, Or, OrderBy, Query
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.registry_samples import AT, put, sample_entry, sample_version
from mlops_registry_s3.registry import S3Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.roles import RegistryStore
    from mlops_core.testing.servers import S3Server

TENANTS = st.sampled_from(["acme", "rival"])
MODELS = st.sampled_from(["m", "n", "m2"])
VERSIONS = st.sampled_from(["1.0", "1.1", "v2"])
KEYS = st.sampled_from(["k1", "k2", "k3", "k4", "k5"])
JOURNALS = st.sampled_from(["aliases/m/a", "aliases/m2/a", "runs/p/1"])
VALUES = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**53, 2**53 + 1, 2**53 + 2, 2**70, -(10**400)]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text("ab%_é\x00", max_size=3),
    st.just("x" * 199 + "y"),
    st.just("x" * 300),
    st.none(),
    st.lists(st.integers(), max_size=1),
)
FIELDS = st.sampled_from(["metadata.a", "metadata.b", "metadata.a.b", "model", "version", "created", "number", "run_id"])
COMPARISONS = st.one_of(
    st.builds(Comparison, FIELDS, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), VALUES),
    st.builds(Comparison, FIELDS, st.just("like"), st.text("ab%_é", max_size=3)),
    st.builds(Comparison, FIELDS, st.just("in"), st.lists(VALUES, max_size=3).map(tuple)),
)
CONDITIONS: st.SearchStrategy[Any] = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=4,
)
QUERIES = st.builds(
    Query,
    st.none() | CONDITIONS,
    st.lists(st.builds(OrderBy, FIELDS, st.booleans()), max_size=2).map(tuple),
    st.none() | st.integers(1, 4),
)
METADATA = st.dictionaries(st.sampled_from(["a", "b", "a.b"]), VALUES, max_size=3)
DATA = st.sampled_from([b"", b"weights", b"other weights"])


class SameAsMemory(RuleBasedStateMachine):
    """Each rule does the same to both stores and compares answer or error."""

    blobs: Bundle[Blob] = Bundle("blobs")

    server: S3Server
    bucket: str

    def __init__(self) -> None:
        super().__init__()
        self.memory = MemoryRegistry()
        self.s3 = self.opened()

    def opened(self, prefix: str | None = None) -> S3Registry:
        server = self.server
        prefix = prefix or f"memory/{uuid.uuid4().hex}"
        return S3Registry(self.bucket, prefix, server.url, server.region, server.access_key, server.secret_key, settle=-1e9)

    def teardown(self) -> None:
        self.s3.close()

    @rule()
    def reopen(self) -> None:
        """As another process would: with nothing in mind."""
        self.s3.close()
        self.s3 = self.opened(self.s3.prefix)

    def both(self, act: Callable[[RegistryStore], Any]) -> Any:
        answers = [self.answer(act, store) for store in (self.memory, self.s3)]
        assert answers[0] == answers[1]
        return answers[0]

    @staticmethod
    def answer(act: Callable[[RegistryStore], Any], store: RegistryStore) -> Any:
        try:
            return act(store)
        except MLOpsError as error:
            return type(error), getattr(error, "head", None)

    @initialize(target=blobs)
    def first(self) -> Blob:
        return self.both(lambda store: put(store, b"first"))  # type: ignore[no-any-return]  # both answer the same blob

    @rule(target=blobs, tenant=TENANTS, data=DATA)
    def put(self, tenant: str, data: bytes) -> Blob:
        return self.both(lambda store: put(store, data, tenant))  # type: ignore[no-any-return]  # the same

    @rule(blob=blobs, tenant=TENANTS)
    def open(self, blob: Blob, tenant: str) -> None:
        def read(store: RegistryStore) -> bytes:
            with closing(store.open_artifact(tenant, blob)) as stream:
                return stream.read()

        self.both(read)

    @rule(tenant=TENANTS, model=MODELS, version=VERSIONS, key=KEYS, metadata=METADATA, blob=blobs, seconds=st.integers(0, 3))
    def add(self, tenant: str, model: str, version: str, key: str, metadata: Any, blob: Blob, seconds: int) -> None:
        files = (File("a", blob),)
        created = AT + timedelta(seconds=seconds)
        given = sample_version(version, model=model, tenant=tenant, key=key, metadata=metadata, files=files, created=created)
        self.both(lambda store: store.add_version(given))

    @rule(tenant=TENANTS, model=MODELS, key=st.none() | KEYS, metadata=METADATA)
    def add_next(self, tenant: str, model: str, key: str | None, metadata: Any) -> None:
        def make(number: int) -> ModelVersion:
            return sample_version(str(number), model=model, tenant=tenant, key=key or f"n{number}", number=number, metadata=metadata)

        self.both(lambda store: store.add_next_version(tenant, model, make, key=key))

    @rule(tenant=TENANTS, model=MODELS, version=VERSIONS | st.sampled_from(["1", "2"]))
    def retire(self, tenant: str, model: str, version: str) -> None:
        self.both(lambda store: store.retire_version(tenant, model, version, sample_entry("retired", change={"version": version})))

    @rule(tenant=TENANTS, query=QUERIES, retired=st.booleans(), newest_first=st.booleans())
    def find(self, tenant: str, query: Query, *, retired: bool, newest_first: bool) -> None:
        """Page by page: the cursors are each store's own."""
        pages: list[list[Any]] = []
        for store in (self.memory, self.s3):
            found, page = [], store.find_versions(tenant, query, retired=retired, newest_first=newest_first)
            found.append(page.items)
            while page.cursor is not None:
                page = store.find_versions(tenant, evolve(query, cursor=page.cursor), retired=retired, newest_first=newest_first)
                found.append(page.items)
            pages.append(found)
        assert pages[0] == pages[1]

    @rule(tenant=TENANTS, journal=JOURNALS, expected=st.integers(-1, 4), key=st.just("") | KEYS, blob=blobs)
    def append(self, tenant: str, journal: str, expected: int, key: str, blob: Blob) -> None:
        entry = sample_entry(key=key, change={"output": {"sha256": blob.sha256}}, state={"n": expected}, at=expected)
        self.both(lambda store: store.append(tenant, journal, expected, entry))

    @rule(tenant=TENANTS, journal=JOURNALS, after=st.integers(-1, 4), limit=st.integers(1, 3), newest_first=st.booleans(), key=KEYS)
    def read(self, tenant: str, journal: str, after: int, limit: int, *, newest_first: bool, key: str) -> None:
        self.both(lambda store: tuple(store.read(tenant, journal, after=after, limit=limit, newest_first=newest_first)))
        self.both(lambda store: store.entry_of(tenant, journal, key))

    @rule(tenant=TENANTS, name=st.sampled_from(["watch", "run"]), owner=st.sampled_from("ab"), taken=st.booleans())
    def lease(self, tenant: str, name: str, owner: str, *, taken: bool) -> None:
        self.both(lambda store: store.lease(tenant, name, owner, timedelta(hours=1 if taken else 0)))

    @rule()
    def sweep(self) -> None:
        """S3 marks first. Every writer has ended here, so that there is nothing to wait for."""

        def discard(store: RegistryStore) -> list[tuple[str, str, int, bool]]:
            found = list(store.leftovers(timedelta(0)))
            removed = [store.discard(one) if store is self.memory else store.discard(one) or store.discard(one) for one in found]
            return sorted((one.tenant, digest_of(one), one.size, gone) for one, gone in zip(found, removed, strict=True))

        self.both(discard)

    @rule(blob=consumes(blobs))
    def forget(self, blob: Blob) -> None:
        """Nobody holds it any more."""

    @invariant()
    def lists_are_equal(self) -> None:
        self.both(lambda store: store.tenants())
        for tenant in ("acme", "rival"):
            self.both(lambda store, tenant=tenant: store.models(tenant))  # type: ignore[misc]  # the default binds the loop's value
            self.both(lambda store, tenant=tenant: store.journals(tenant, "", limit=2))  # type: ignore[misc]  # the same
            self.both(lambda store, tenant=tenant: store.journals(tenant, "aliases/m/"))  # type: ignore[misc]  # the same


def digest_of(leftover: Leftover) -> str:
    return leftover.location.split("/")[1]


def test_the_same_as_in_memory(server: S3Server, bucket: str) -> None:
    machine = type("Machine", (SameAsMemory,), {"server": server, "bucket": bucket})
    run_state_machine_as_test(machine, settings=settings(max_examples=5, stateful_step_count=30))
