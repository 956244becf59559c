"""The deployer role in memory: models answer in this very process."""

from __future__ import annotations

import queue
import random
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, evolve, field, frozen

from mlops_core.exceptions import ConflictError, DeploymentError
from mlops_core.hookspecs import hookimpl
from mlops_core.records import EndpointKey, Health, HealthStatus, ModelVersion, Observed, Prediction, Variant, VariantCount
from mlops_core.records.routing import check_routes, pick, salt_of, share_of
from mlops_core.records.units import UnitFilter
from mlops_core.roles import DeployContext, Deployer, Predictor

if TYPE_CHECKING:
    from numpy.typing import NDArray


__all__ = ["MemoryDeployer", "mlops_deployer"]

_ROOM: Final = 100


@define(eq=False)
class _Loaded:
    """A version in memory."""

    version: ModelVersion
    predictor: Predictor


@frozen(eq=False)
class _Place:
    """An endpoint: replaced as a whole, never changed, so that whoever reads it waits for nobody.

    ``wanted`` are the routes that were set, ``serving`` those that hold; ``looks`` are left until the first become the second.
    """

    wanted: Observed = field(factory=Observed)
    serving: Observed = field(factory=Observed)
    models: Mapping[str, _Loaded] = field(factory=dict)
    looks: int = 0


_NOWHERE: Final = _Place()


@define(eq=False)
class MemoryDeployer(Deployer):
    """An environment that lives and dies with its process. Thread-safe. A shadow gets its copies in a thread, 100 of which may wait.

    Changes wait for each other, and for no prediction: threads that ask without a pause would keep a rollback from a lock that they share.

    It counts the requests of each version itself (capability ``counters``), so that a canary needs no monitoring to be judged. With a
    ``delay`` it is one whose routes take time to hold, and ``fault``, where it is set, says why the next ones fail to.
    """

    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"in-process", "counters", "shadow"})

    seed: int = field(default=0, metadata={"help": "for the choice among weighted variants"})
    delay: int = field(default=0, metadata={"help": "looks at an endpoint until its new routes hold; 0: they hold at once"})
    fault: str = field(default="", init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    _context: DeployContext | None = field(default=None, init=False, repr=False)
    _places: dict[EndpointKey, _Place] = field(factory=dict, init=False, repr=False)
    _counting: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    _counts: dict[tuple[EndpointKey, str, int], tuple[int, int, int, int]] = field(factory=dict, init=False, repr=False)
    _units: dict[EndpointKey, bytearray] = field(factory=dict, init=False, repr=False)
    _random: random.Random = field(init=False, repr=False)
    _copies: queue.Queue[Callable[[], None]] = field(factory=lambda: queue.Queue(_ROOM), init=False, repr=False)
    _copying: threading.Thread | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311  a share of traffic, not a secret

    def attach(self, environment: str, context: DeployContext) -> None:
        """Keep the ports."""
        del environment
        self._context = context

    def load(self, endpoint: EndpointKey, version: ModelVersion, context: DeployContext) -> None:
        """Load through the context, outside the lock: requests go on meanwhile."""
        if version.version in self._place(endpoint).models:
            return
        try:
            predictor = context.load(version)
        except Exception as error:
            raise DeploymentError(f"deployer memory: {version.model} {version.version} does not load: {error}") from error
        with self._lock:
            one = self._place(endpoint)
            self._places[endpoint] = evolve(one, models={version.version: _Loaded(version, predictor), **one.models})

    def health(self, endpoint: EndpointKey, version: str) -> Health:
        """Healthy once it is loaded."""
        if version in self._place(endpoint).models:
            return Health(HealthStatus.HEALTHY)
        return Health(HealthStatus.UNKNOWN, f"version {version} is not loaded")

    def set_routes(self, endpoint: EndpointKey, variants: tuple[Variant, ...], shadow: str | None, expected_revision: int) -> int:
        """Replace the routes under the lock; those of before answer until the new ones hold."""
        check_routes(variants)
        with self._lock:
            one = self._place(endpoint)
            seen = one.wanted
            if seen.revision != expected_revision:
                raise ConflictError(f"deployer memory: routes are at revision {seen.revision}, not {expected_revision}", head=seen.revision)
            for version in [variant.version for variant in variants] + ([] if shadow is None else [shadow]):
                if version not in one.models:
                    raise DeploymentError(f"deployer memory: version {version} is not loaded - load it before it is routed")
            previous = seen.previous if variants == seen.routes else seen.routes
            wanted = Observed(revision=seen.revision + 1, operation="applying", routes=variants, shadow=shadow, previous=previous)
            one = evolve(one, wanted=wanted, looks=self.delay)
            self._places[endpoint] = one if self.delay else self._settled(one)
            return wanted.revision

    def unload(self, endpoint: EndpointKey, version: str) -> None:
        """Drop a version that is not routed."""
        with self._lock:
            one = self._place(endpoint)
            if version in _routed(one.wanted):
                raise DeploymentError(f"deployer memory: version {version} is routed - route around it before it is unloaded")
            if version not in _routed(one.serving):
                self._places[endpoint] = evolve(one, models={name: model for name, model in one.models.items() if name != version})

    def observe(self, endpoint: EndpointKey, *, since: int | None = None) -> Observed:
        """Routes, versions and counts: all of them, since they cost nothing."""
        one = self._place(endpoint)
        if one.wanted.operation == "applying":
            one = self._looked_at(endpoint)
        counts = tuple(VariantCount(*key[1:], *found) for key, found in self._counts.copy().items() if key[0] == endpoint)
        return evolve(one.wanted, loaded=tuple(sorted(one.models)), counters=counts)

    def predict(self, endpoint: EndpointKey, columns: Mapping[str, NDArray[Any]], *, unit: str | None = None) -> Prediction:
        """Answer by the routes, and count it."""
        one = self._place(endpoint)
        seen = one.serving
        chosen = pick(seen.routes, self._random.random() if unit is None else share_of(unit, seen.routes))
        model, shadow = one.models.get(chosen.version), one.models.get(seen.shadow or "")
        if model is None:
            raise DeploymentError(
                f"endpoint {endpoint.model}: version {chosen.version} is not loaded - the server was shut down, deploy again"
            )
        _check_columns(model.version, columns)
        if shadow is not None:
            self._copy(endpoint, shadow, seen.revision, dict(columns))
        try:
            outputs = model.predictor.predict(columns)
        except Exception as error:
            self._count(endpoint, chosen.version, seen.revision, failed=1, repeated=self._failed_before(endpoint, seen.routes, unit))
            raise DeploymentError(f"endpoint {endpoint.model}: version {chosen.version} failed: {type(error).__name__}: {error}") from error
        self._count(endpoint, chosen.version, seen.revision, failed=0)
        return Prediction({name: values.tolist() for name, values in outputs.items()}, chosen.version, uuid.uuid4().hex)

    def settle(self) -> None:
        """Wait until the shadows have answered what they were given."""
        self._copies.join()

    def shutdown(self) -> None:
        """Forget everything that was loaded; the routes stay, as a stopped server's do."""
        with self._lock:
            self._places = {endpoint: evolve(one, models={}) for endpoint, one in self._places.items()}

    def _place(self, endpoint: EndpointKey) -> _Place:
        return self._places.get(endpoint, _NOWHERE)

    def _looked_at(self, endpoint: EndpointKey) -> _Place:
        """One look nearer to the routes that were set."""
        with self._lock:
            one = self._place(endpoint)
            one = evolve(one, looks=one.looks - 1)
            self._places[endpoint] = one = self._settled(one) if one.looks <= 0 else one
            return one

    def _settled(self, one: _Place) -> _Place:
        """The routes that were set hold from now on, or have failed to."""
        if one.wanted.operation != "applying":
            return one
        if self.fault:
            reason, self.fault = self.fault, ""
            return evolve(one, wanted=evolve(one.wanted, operation="failed", detail={"reason": reason}))
        wanted = evolve(one.wanted, operation="applied")
        return evolve(one, wanted=wanted, serving=wanted)

    def _copy(self, endpoint: EndpointKey, shadow: _Loaded, revision: int, columns: Mapping[str, NDArray[Any]]) -> None:
        """Give a request to the shadow, beside its answer; one too many is dropped."""

        def work() -> None:
            try:
                _check_columns(shadow.version, columns)
                shadow.predictor.predict(columns)
            except Exception:  # noqa: BLE001  whatever it is, it is the shadow's failure
                self._count(endpoint, shadow.version.version, revision, failed=1)
            else:
                self._count(endpoint, shadow.version.version, revision, failed=0)

        try:
            self._copies.put_nowait(work)
        except queue.Full:
            self._count(endpoint, shadow.version.version, revision, dropped=1)
        with self._counting:
            if self._copying is None:
                self._copying = threading.Thread(target=self._work, name="shadow", daemon=True)
                self._copying.start()

    def _work(self) -> None:
        """Until nothing waits: no thread stays."""
        while True:
            with self._counting:
                if self._copies.empty():
                    self._copying = None
                    return
            self._copies.get()()
            self._copies.task_done()

    def _failed_before(self, endpoint: EndpointKey, variants: tuple[Variant, ...], unit: str | None) -> bool:
        if unit is None or len(variants) == 1:
            return False
        with self._counting:
            memory = self._units.setdefault(endpoint, bytearray(UnitFilter.SIZE))
            return UnitFilter(memory, salt_of(variants)).add(unit)

    def _count(
        self, endpoint: EndpointKey, version: str, revision: int, *, failed: int = 0, dropped: int = 0, repeated: bool = False
    ) -> None:
        with self._counting:
            total, errors, lost, again = self._counts.get((endpoint, version, revision), (0, 0, 0, 0))
            self._counts[endpoint, version, revision] = (total + 1 - dropped, errors + failed, lost + dropped, again + repeated)


@hookimpl
def mlops_deployer() -> type[Deployer]:
    """Hand over the reference deployer."""
    return MemoryDeployer


def _routed(seen: Observed) -> set[str | None]:
    """Versions that these routes name."""
    return {*(variant.version for variant in seen.routes), seen.shadow}


def _check_columns(version: ModelVersion, columns: Mapping[str, NDArray[Any]]) -> None:
    if len({len(values) for values in columns.values()}) != 1:
        raise DeploymentError(f"endpoint {version.model}: the columns have unlike lengths - give one value per row in each")
    if version.schema is None:
        return
    wanted = {column.name for column in version.schema.inputs}
    if odd := sorted(wanted ^ columns.keys()):
        said = "missing" if odd[0] in wanted else "unknown"
        raise DeploymentError(f"endpoint {version.model}: column {odd[0]!r} is {said} - it takes {', '.join(sorted(wanted))}")
