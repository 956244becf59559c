"""What every deployer must do: derive from ``DeployerSuite``, provide a fixture ``rig``, and pytest runs the rest."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, Self

import attrs
import pytest

from mlops_core.exceptions import ConflictError, DeploymentError
from mlops_core.records import EndpointKey, HealthStatus, Observed, Variant, VariantCount

if TYPE_CHECKING:
    from types import TracebackType

    from mlops_core.records import ModelVersion
    from mlops_core.roles import DeployContext, Deployer

__all__ = ["DeployerRig", "DeployerSuite"]

_UNITS: Final = 400
_CLIENTS: Final = 3
_ENOUGH: Final = 20
_PATIENCE: Final = 60.0
_LONGEST, _POLL, _LONGEST_POLL = 86_400.0, 0.02, 5.0  # seconds of the deployer's own clock, which need not be the wall's


class DeployerRig(ABC):
    """A deployer under test, attached to its environment, and models for it."""

    deployer: Deployer
    context: DeployContext
    endpoint: EndpointKey = EndpointKey("acme", "staging", "delays")

    @abstractmethod
    def version(self, name: str, *, fault: Literal["", "load", "predict"] = "") -> ModelVersion:
        """A version of the endpoint's model, in the registry; with a fault it does not load, or fails at every prediction."""

    @abstractmethod
    def ask(self, endpoint: EndpointKey, *, unit: str | None = None) -> str:
        """Send one request the way clients do; answers the version that answered it.

        Raises:
            DeploymentError: It was not answered.
        """

    @abstractmethod
    def again(self) -> Deployer:
        """The deployer as another process would have it: attached to the same environment, knowing nothing."""

    def shadowed(self, version: str) -> VariantCount:
        """What is counted of the copies that a shadow of the endpoint was given, under every revision.

        Here from the deployer's own counters; a deployer without them needs another way.
        """
        found = [one for one in self.deployer.observe(self.endpoint).counters if one.version == version]
        return VariantCount(
            version, 0, sum(one.total for one in found), sum(one.errors for one in found), sum(one.dropped for one in found)
        )

    def settle(self, endpoint: EndpointKey | None = None) -> None:
        """Wait until the routes that were set hold."""
        clock, pause = self.context.clock, _POLL
        deadline = clock.monotonic() + _LONGEST
        while (seen := self.deployer.observe(endpoint or self.endpoint)).operation == "applying":
            assert clock.monotonic() < deadline, f"the routes do not hold: {seen}"
            clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL)
        assert seen.operation == "applied", seen

    def load(self, name: str, endpoint: EndpointKey | None = None) -> None:
        """Load a healthy version."""
        self.deployer.load(endpoint or self.endpoint, self.version(name), self.context)

    def route(self, *weights: tuple[str, float], endpoint: EndpointKey | None = None, shadow: str | None = None) -> int:
        """Route by weights, at whatever revision the endpoint is, until they hold; answers the new revision."""
        wanted = endpoint or self.endpoint
        variants = tuple(Variant(f"{number}-{version}", version, weight) for number, (version, weight) in enumerate(weights, 1))
        revision = self.deployer.set_routes(wanted, variants, shadow, self.deployer.observe(wanted).revision)
        self.settle(wanted)
        return revision


class DeployerSuite:
    """Conformance of one deployer. The fixture ``rig`` answers a ``DeployerRig``, a new one for each test."""

    def test_the_class_declares_its_contract_and_explains_its_options(self, rig: DeployerRig) -> None:
        """The class declares its contract and explains its options."""
        kind = type(rig.deployer)
        options = [field for field in attrs.fields(kind) if field.init]  # type: ignore[arg-type]  # an attrs class, as the role demands

        assert vars(kind)["contract"] == 1
        assert [field.name for field in options if not field.metadata.get("help")] == []

    def test_an_endpoint_that_never_was_is_at_revision_zero(self, rig: DeployerRig) -> None:
        """An endpoint that never was is at revision zero."""
        seen = rig.deployer.observe(rig.endpoint)
        assert (seen.revision, seen.routes, seen.previous, seen.loaded) == (0, (), (), ())

    def test_a_loaded_version_takes_no_request_before_it_is_routed(self, rig: DeployerRig) -> None:
        """A loaded version takes no request before it is routed."""
        rig.load("1.0.0")

        assert rig.deployer.observe(rig.endpoint).loaded == ("1.0.0",)
        assert rig.deployer.health(rig.endpoint, "1.0.0").status is HealthStatus.HEALTHY
        with pytest.raises(DeploymentError):
            rig.ask(rig.endpoint)
        assert rig.route(("1.0.0", 1.0)) == 1
        assert rig.ask(rig.endpoint) == "1.0.0"

    def test_loading_a_loaded_version_changes_nothing(self, rig: DeployerRig) -> None:
        """Loading a loaded version changes nothing."""
        rig.load("1.0.0")
        rig.route(("1.0.0", 1.0))
        before = rig.deployer.observe(rig.endpoint)
        rig.load("1.0.0")

        assert _routes(rig.deployer.observe(rig.endpoint)) == _routes(before)
        assert rig.deployer.observe(rig.endpoint).loaded == ("1.0.0",)

    def test_a_version_that_does_not_load_harms_nobody(self, rig: DeployerRig) -> None:
        """A version that does not load harms nobody."""
        rig.load("1.0.0")
        rig.route(("1.0.0", 1.0))

        with pytest.raises(DeploymentError) as raised:
            rig.deployer.load(rig.endpoint, rig.version("2.0.0", fault="load"), rig.context)
        assert "\n" not in raised.value.message
        assert rig.deployer.observe(rig.endpoint).loaded == ("1.0.0",)
        assert rig.ask(rig.endpoint) == "1.0.0"

    def test_health_tells_what_is_not_loaded(self, rig: DeployerRig) -> None:
        """Health tells what is not loaded."""
        rig.load("1.0.0")
        assert rig.deployer.health(rig.endpoint, "9.9.9").status is not HealthStatus.HEALTHY

    def test_routes_at_another_revision_conflict_and_change_nothing(self, rig: DeployerRig) -> None:
        """Routes at another revision conflict and change nothing."""
        rig.load("1.0.0")
        rig.route(("1.0.0", 1.0))
        before = rig.deployer.observe(rig.endpoint)

        for stale in (0, 2):
            with pytest.raises(ConflictError) as raised:
                rig.deployer.set_routes(rig.endpoint, (), None, stale)
            assert raised.value.head == 1
        assert _routes(rig.deployer.observe(rig.endpoint)) == _routes(before)

    @pytest.mark.parametrize(
        "weights",
        [
            pytest.param([("1.0.0", 0.5), ("9.9.9", 0.5)], id="not loaded"),
            pytest.param([("1.0.0", 0.9)], id="sum below 1"),
            pytest.param([("1.0.0", 1.5), ("2.0.0", -0.5)], id="outside [0, 1]"),
            pytest.param([("1.0.0", 0.5), ("1.0.0", 0.5)], id="twice"),
        ],
    )
    def test_routes_that_cannot_be_are_refused(self, rig: DeployerRig, weights: list[tuple[str, float]]) -> None:
        """Routes that cannot be are refused."""
        rig.load("1.0.0")
        rig.load("2.0.0")
        rig.route(("1.0.0", 1.0))
        before = rig.deployer.observe(rig.endpoint)

        with pytest.raises(DeploymentError):
            rig.route(*weights)
        assert _routes(rig.deployer.observe(rig.endpoint)) == _routes(before)

    def test_weights_share_the_requests_and_a_unit_stays(self, rig: DeployerRig) -> None:
        """Weights share the requests and a unit stays."""
        rig.load("1.0.0")
        rig.load("2.0.0")
        rig.route(("1.0.0", 0.75), ("2.0.0", 0.25))
        first = {f"user-{number}": rig.ask(rig.endpoint, unit=f"user-{number}") for number in range(_UNITS)}
        counts = Counter(first.values())

        assert counts.keys() == {"1.0.0", "2.0.0"}
        assert 0.18 < counts["2.0.0"] / _UNITS < 0.32
        assert {unit: rig.ask(rig.endpoint, unit=unit) for unit in list(first)[:20]} == dict(list(first.items())[:20])

    def test_the_routes_before_are_kept_for_a_rollback(self, rig: DeployerRig) -> None:
        """The routes before are kept for a rollback."""
        rig.load("1.0.0")
        rig.load("2.0.0")
        rig.route(("1.0.0", 1.0))
        assert rig.route(("2.0.0", 1.0)) == 2

        assert rig.route(("2.0.0", 1.0)) == 3
        previous = rig.again().observe(rig.endpoint).previous
        assert [one.version for one in previous] == ["1.0.0"]
        rig.again().set_routes(rig.endpoint, previous, None, 3)
        rig.settle()
        assert rig.ask(rig.endpoint) == "1.0.0"

    def test_no_routes_withdraw_the_endpoint(self, rig: DeployerRig) -> None:
        """No routes withdraw the endpoint."""
        rig.load("1.0.0")
        rig.route(("1.0.0", 1.0))
        rig.route()

        assert rig.deployer.observe(rig.endpoint).routes == ()
        with pytest.raises(DeploymentError):
            rig.ask(rig.endpoint)

    def test_what_is_routed_is_not_unloaded(self, rig: DeployerRig) -> None:
        """What is routed is not unloaded."""
        rig.load("1.0.0")
        rig.load("2.0.0")
        rig.route(("1.0.0", 1.0))

        with pytest.raises(DeploymentError):
            rig.deployer.unload(rig.endpoint, "1.0.0")
        rig.deployer.unload(rig.endpoint, "2.0.0")
        rig.deployer.unload(rig.endpoint, "9.9.9")
        assert rig.deployer.observe(rig.endpoint).loaded == ("1.0.0",)
        assert rig.ask(rig.endpoint) == "1.0.0"

    def test_endpoints_are_apart(self, rig: DeployerRig) -> None:
        """Endpoints are apart."""
        other = attrs.evolve(rig.endpoint, tenant="globex")
        rig.load("1.0.0")
        rig.route(("1.0.0", 1.0))

        assert rig.deployer.observe(other).revision == 0
        assert rig.deployer.observe(other).loaded == ()
        with pytest.raises(DeploymentError):
            rig.ask(other)

    def test_no_request_fails_while_versions_load_switch_and_return(self, rig: DeployerRig) -> None:
        """No request fails while versions load switch and return."""
        rig.load("1.0.0")
        rig.route(("1.0.0", 1.0))
        with _Load(rig) as load:
            load.wait_for("1.0.0")
            rig.load("2.0.0")
            rig.route(("1.0.0", 0.5), ("2.0.0", 0.5))
            load.wait_for("1.0.0", "2.0.0")
            rig.route(("2.0.0", 1.0))
            load.wait_for("2.0.0")
            rig.deployer.set_routes(rig.endpoint, (Variant("1-1.0.0", "1.0.0", 1.0),), None, 3)
            rig.settle()
            rig.deployer.unload(rig.endpoint, "2.0.0")
            load.wait_for("1.0.0")

        assert load.failures == []
        assert rig.ask(rig.endpoint) == "1.0.0"

    def test_a_shut_down_server_keeps_its_routes_for_the_next_start(self, rig: DeployerRig) -> None:
        """A shut down server keeps its routes for the next start."""
        rig.load("1.0.0")
        rig.route(("1.0.0", 1.0))
        rig.deployer.shutdown()
        rig.deployer.shutdown()

        assert [one.version for one in rig.again().observe(rig.endpoint).routes] == ["1.0.0"]
        assert rig.again().observe(rig.endpoint).loaded == ()
        with pytest.raises(DeploymentError):
            rig.ask(rig.endpoint)
        rig.load("1.0.0")
        assert rig.ask(rig.endpoint) == "1.0.0"

    @pytest.mark.parametrize("fault", ["", "predict"])
    def test_a_shadow_gets_every_request_and_no_client_notices(self, rig: DeployerRig, fault: Literal["", "predict"]) -> None:
        """A shadow gets every request and no client notices."""
        if "shadow" not in rig.deployer.capabilities:
            return
        rig.load("1.0.0")
        rig.deployer.load(rig.endpoint, rig.version("2.0.0", fault=fault), rig.context)
        rig.route(("1.0.0", 1.0), shadow="2.0.0")

        assert rig.again().observe(rig.endpoint).shadow == "2.0.0"
        assert {rig.ask(rig.endpoint) for _ in range(_ENOUGH)} == {"1.0.0"}
        seen = _shadowed(rig, "2.0.0", _ENOUGH)
        assert (seen.total, seen.errors, seen.dropped) == (_ENOUGH, _ENOUGH if fault else 0, 0)
        rig.route(("1.0.0", 1.0))
        rig.ask(rig.endpoint)
        assert rig.deployer.observe(rig.endpoint).shadow is None
        assert rig.shadowed("2.0.0").total == _ENOUGH

    def test_a_shadow_is_loaded_and_stays_loaded(self, rig: DeployerRig) -> None:
        """A shadow is loaded and stays loaded."""
        if "shadow" not in rig.deployer.capabilities:
            return
        rig.load("1.0.0")
        rig.route(("1.0.0", 1.0))
        before = rig.deployer.observe(rig.endpoint)
        with pytest.raises(DeploymentError):
            rig.route(("1.0.0", 1.0), shadow="2.0.0")

        assert _routes(rig.deployer.observe(rig.endpoint)) == _routes(before)
        rig.load("2.0.0")
        rig.route(("1.0.0", 1.0), shadow="2.0.0")
        with pytest.raises(DeploymentError):
            rig.deployer.unload(rig.endpoint, "2.0.0")
        assert rig.deployer.observe(rig.endpoint).loaded == ("1.0.0", "2.0.0")

    def test_a_shadow_changes_nothing_of_what_a_rollback_returns_to(self, rig: DeployerRig) -> None:
        """A shadow changes nothing of what a rollback returns to."""
        if "shadow" not in rig.deployer.capabilities:
            return
        for version in ("1.0.0", "2.0.0", "3.0.0"):
            rig.load(version)
        rig.route(("1.0.0", 1.0))
        rig.route(("2.0.0", 1.0))
        for shadow in ("3.0.0", None):
            rig.route(("2.0.0", 1.0), shadow=shadow)
            assert [one.version for one in rig.again().observe(rig.endpoint).previous] == ["1.0.0"]


def _shadowed(rig: DeployerRig, version: str, count: int) -> VariantCount:
    """What the shadow has done once so many copies are accounted for."""
    deadline = time.monotonic() + _PATIENCE
    while (seen := rig.shadowed(version)).total + seen.dropped < count:
        assert time.monotonic() < deadline, f"{seen} of {count} copies"
        time.sleep(0.01)
    return seen


def _routes(seen: Observed) -> tuple[object, ...]:
    return seen.revision, seen.routes, seen.shadow, seen.previous


class _Load:
    """Requests from several threads while the block runs."""

    def __init__(self, rig: DeployerRig) -> None:
        self.answers: list[str] = []
        self.failures: list[str] = []
        self._rig = rig
        self._done = threading.Event()
        self._clients = [threading.Thread(target=self._ask) for _ in range(_CLIENTS)]

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        for client in self._clients:
            client.join()

    def wait_for(self, *versions: str) -> None:
        """Until each of these has answered again, some times over."""
        start = len(self.answers)
        deadline = time.monotonic() + _PATIENCE
        while min(Counter(self.answers[start:])[version] for version in versions) < _ENOUGH:
            assert time.monotonic() < deadline, f"{versions} did not answer, but {Counter(self.answers[start:])}; {self.failures[-1:]}"
            time.sleep(0.001)

    def _ask(self) -> None:
        while not self._done.is_set():
            try:
                self.answers.append(self._rig.ask(self._rig.endpoint))
            except DeploymentError as error:
                self.failures.append(error.message)
