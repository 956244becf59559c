"""What has to be called so that an endpoint has other routes: pure functions, for whoever calls and for whoever only wants to see it.

The cheapest change that does it: nothing, where the endpoint has them; weights alone, which start no instance, where every version is on
the endpoint; a new configuration, for which SageMaker starts a new fleet of instances, where one is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import evolve, field, frozen

from mlops_core.records import Record
from mlops_deployer_sagemaker.names import config_name, variant_name
from mlops_deployer_sagemaker.record import KEPT, Serving, Setup, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_core.records import Variant
    from mlops_deployer_sagemaker.record import EndpointRecord

__all__ = ["BUSY", "Call", "Change", "Fleet", "Guardrails", "Seen", "after", "decide", "holds", "operation_of", "routes_of", "span_of"]

BUSY: Final = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
"""States of an endpoint in which SageMaker takes no change of it."""
_DEAD: Final = frozenset({"Failed", "OutOfService"})
_MOST: Final = 10  # production variants of an endpoint
_YOUNG: Final = timedelta(seconds=30)  # after it was asked for, a change may not show yet
_SPANS: Final = 200
_CLOSE: Final = 1e-4  # SageMaker keeps weights in single precision


@frozen
class Seen(Record):
    """What SageMaker says of an endpoint: ``weights`` by variant as they are now, ``modified`` seconds since 1970."""

    status: str
    config: str
    weights: Mapping[str, float] = field(factory=dict)
    reason: str = ""
    modified: float = 0.0

    @property
    def busy(self) -> bool:
        """Whether it is changing."""
        return self.status in BUSY

    @property
    def mixed(self) -> bool:
        """Whether instances of two configurations may run, whatever it says of its own: only another configuration mends that."""
        return self.status == "UpdateRollbackFailed"


@frozen
class Guardrails(Record):
    """How SageMaker itself shifts the traffic to a new fleet, and which alarms take it back; ``size`` in per cent, times in seconds."""

    kind: Literal["all-at-once", "canary", "linear"]
    size: int
    wait: int
    bake: int
    alarms: tuple[str, ...]
    deadline: int

    def request(self) -> dict[str, Any]:
        """The ``DeploymentConfig`` of ``update_endpoint``."""
        routing: dict[str, Any] = {"Type": self.kind.upper().replace("-", "_"), "WaitIntervalInSeconds": self.wait}
        step = {"canary": "CanarySize", "linear": "LinearStepSize"}.get(self.kind)
        if step is not None:
            routing[step] = {"Type": "CAPACITY_PERCENT", "Value": self.size}
        policy = {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": self.bake,
            "MaximumExecutionTimeoutInSeconds": self.deadline,
        }
        alarms = [{"AlarmName": name} for name in self.alarms]
        return {"BlueGreenUpdatePolicy": policy} | ({"AutoRollbackConfiguration": {"Alarms": alarms}} if alarms else {})


@frozen
class Fleet(Record):
    """How versions are hosted: instances of each variant, and what becomes of a replaced one. ``tags`` are the endpoint's."""

    endpoint: str
    instance_type: str
    instance_count: int
    standby: bool
    startup: int
    guardrails: Guardrails | None
    tags: tuple[Mapping[str, str], ...]

    def variant(self, one: Serving, weight: float) -> dict[str, Any]:
        """A production variant."""
        return {
            "VariantName": one.name,
            "ModelName": one.model,
            "InitialInstanceCount": self.instance_count,
            "InstanceType": self.instance_type,
            "InitialVariantWeight": weight,
            "ContainerStartupHealthCheckTimeoutInSeconds": self.startup,
        }


@frozen
class Call(Record):
    """One call of SageMaker."""

    operation: str
    arguments: Mapping[str, Any]


@frozen
class Change(Record):
    """Calls in their order, and the configuration that is in force after them."""

    calls: tuple[Call, ...] = ()
    config: str = ""
    setup: Setup = field(factory=lambda: Setup(()))


def holds(record: EndpointRecord, seen: Seen | None) -> bool:
    """Whether the endpoint has the record's routes, and takes requests by them."""
    if seen is None or not record.routes:
        return seen is None and not record.routes
    return seen.config == record.config and seen.status in {"InService", "SystemUpdating"} and _weigh_alike(record.weights, seen)


def routes_of(record: EndpointRecord, seen: Seen | None) -> tuple[Variant, ...]:
    """The routes that the endpoint's weights are of: those that were set last, or those before; none, where neither fits."""
    setup = record.configs.get(seen.config) if seen is not None else None
    if seen is None or setup is None:
        return ()
    return next((routes for routes in (record.routes, record.previous) if routes and _weigh_alike(setup.weights(routes), seen)), ())


def operation_of(record: EndpointRecord, seen: Seen | None, now: datetime) -> tuple[Literal["applying", "applied", "failed"], str]:
    """Whether the endpoint has the record's routes yet, and why not if it will not have them."""
    if record.stopped or record.revision == 0 or holds(record, seen):
        return "applied", ""
    young = record.changed is not None and now - record.changed < _YOUNG
    if (seen is not None and seen.busy) or (young and (seen is None or seen.status == "InService")):
        return "applying", ""
    if seen is None:
        return "failed", "the endpoint is not there - its events in the console tell who deleted it"
    if seen.status != "InService":
        return "failed", f"the endpoint is {seen.status}: {seen.reason or 'SageMaker gives no reason'}"
    why = "its variants have other weights" if seen.config == record.config else f"it has configuration {seen.config}"
    return "failed", f"the endpoint did not take the change: {seen.reason or why} - its logs and events in CloudWatch say more"


def span_of(record: EndpointRecord, seen: Seen | None, now: datetime) -> tuple[Span, ...]:
    """The time for which the record's routes hold already: since the endpoint changed last."""
    if seen is None or not holds(record, seen) or record.changed is None:
        return ()
    begun = max(datetime.fromtimestamp(seen.modified, UTC), record.changed)
    beside = () if record.setup.beside is None else (record.setup.beside,)
    weighed = tuple(one for one in record.setup.variants if record.weights[one.name] > 0)
    return (Span(record.revision, begun, max(begun, now), weighed + beside),)


def after(record: EndpointRecord, seen: Seen | None, change: Change, now: datetime) -> EndpointRecord:
    """The record of a change: what held until now is over."""
    configs = {**record.configs, **({change.config: change.setup} if change.config else {})}
    spans = [span for span in (*record.spans, *span_of(record, seen, now)) if now - span.ended < KEPT]
    return evolve(record, config=change.config, configs=configs, spans=tuple(spans[-_SPANS:]), changed=now, stopped=False)


def decide(
    fleet: Fleet, record: EndpointRecord, routes: Sequence[Variant], shadow: str | None, seen: Seen | None, *, anew: bool = False
) -> Change:
    """What to call, of an endpoint that is not changing. Every version is among ``record.loaded``; a shadow goes with one route only.

    ``anew``: by a new configuration, without those that may go.
    """
    if not routes:
        gone = () if seen is None else (Call("delete_endpoint", {"EndpointName": fleet.endpoint}),)
        return Change(gone)
    alive = seen if seen is not None and seen.status not in _DEAD else None
    present = record.configs.get(alive.config, Setup(())) if alive is not None else Setup(())
    wanted = {record.loaded[one.version]: one for one in routes}
    here = {one.model for one in present.variants}
    if alive is not None and not alive.mixed and not anew and shadow is None and present.beside is None and wanted.keys() <= here:
        weights = {one.name: wanted[one.model].weight if one.model in wanted else 0.0 for one in present.variants}
        return Change(_reweigh(fleet.endpoint, weights, alive), alive.config, present)
    setup = _setup(fleet, record, present, routes, shadow)
    weights = setup.weights(routes)
    request: dict[str, Any] = {"ProductionVariants": [fleet.variant(one, weights[one.name]) for one in setup.variants]}
    if setup.beside is not None:
        request["ShadowProductionVariants"] = [fleet.variant(setup.beside, 1.0)]
    name = config_name(fleet.endpoint, [request, alive.config] if alive is not None and alive.mixed else request)
    request |= {"EndpointConfigName": name, "Tags": list(fleet.tags)}
    if alive is not None and alive.config == name and _weigh_alike(weights, alive):
        return Change((), name, setup)
    calls = _bring(fleet, name, setup, alive, dead=seen is not None and alive is None)
    return Change((Call("create_endpoint_config", request), *calls), name, setup)


def _reweigh(endpoint: str, weights: Mapping[str, float], seen: Seen) -> tuple[Call, ...]:
    if _weigh_alike(weights, seen):
        return ()
    wanted = [{"VariantName": name, "DesiredWeight": weight} for name, weight in weights.items()]
    return (Call("update_endpoint_weights_and_capacities", {"EndpointName": endpoint, "DesiredWeightsAndCapacities": wanted}),)


def _bring(fleet: Fleet, config: str, setup: Setup, seen: Seen | None, *, dead: bool) -> tuple[Call, ...]:
    """The configuration to the endpoint. One that failed can only be deleted; guardrails want variants that keep their names."""
    named = {"EndpointName": fleet.endpoint, "EndpointConfigName": config}
    if seen is None:
        create = Call("create_endpoint", {**named, "Tags": list(fleet.tags)})
        return (Call("delete_endpoint", {"EndpointName": fleet.endpoint}), create) if dead else (create,)
    kept = set(seen.weights) == {one.name for one in setup.variants}
    guarded = {"DeploymentConfig": fleet.guardrails.request()} if fleet.guardrails is not None and kept else {}
    return (Call("update_endpoint", {**named, **guarded}),)


def _setup(fleet: Fleet, record: EndpointRecord, present: Setup, routes: Sequence[Variant], shadow: str | None) -> Setup:
    """Who is on the endpoint: the routed ones, and, without requests, those to go back to; and the shadow."""
    here = {one.model: one for one in present.variants}
    replaced = fleet.guardrails is not None and len(present.variants) == len(routes) == 1
    taken = {one.name for one in present.variants}

    def serving(version: str, known: Mapping[str, Serving]) -> Serving:
        model = record.loaded[version]
        if model in known:
            return known[model]
        name = _free(variant_name(version, model), taken)
        taken.add(name)
        return Serving(name, version, model)

    if replaced and shadow is None:  # the variant keeps its name, as guardrails want it
        only = routes[0].version
        return Setup((Serving(present.variants[0].name, only, record.loaded[only]),))
    variants = tuple(serving(one.version, here) for one in routes)
    if shadow is not None:
        return Setup(variants, serving(shadow, {}))
    if fleet.standby:
        used = {one.model for one in variants}
        spare = [one for one in present.variants if one.model not in used and record.loaded.get(one.version) == one.model]
        variants = (*variants, *spare[: max(0, _MOST - len(variants))])
    return Setup(variants)


def _free(name: str, taken: set[str]) -> str:
    """A name that no other variant has: one that was replaced by guardrails has left its own behind."""
    return next(found for number in count(1) if (found := name if number == 1 else f"{name[:60]}-{number}") not in taken)


def _weigh_alike(weights: Mapping[str, float], seen: Seen) -> bool:
    found = seen.weights
    return weights.keys() == found.keys() and all(math.isclose(weights[name], found[name], abs_tol=_CLOSE) for name in weights)
