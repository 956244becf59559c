"""Deployments as records."""

from __future__ import annotations

from datetime import UTC, datetime

from mlops_core.records import Deployment, DeploymentStatus, EndpointKey, Observed, Variant

AT = datetime(2024, 5, 1, tzinfo=UTC)


def test_a_deployment_survives_json_and_knows_its_endpoint() -> None:
    made = Deployment(
        "staging/m/1", "acme", "staging", "m", "1", 1, DeploymentStatus.LIVE, (Variant("1-1", "1", 1.0),), created=AT, changed=AT
    )
    assert Deployment.from_dict(made.to_dict()) == made
    assert made["status"] == "live"
    assert made.endpoint == EndpointKey("acme", "staging", "m")


def test_an_endpoint_that_never_was() -> None:
    assert (Observed().revision, Observed().routes, Observed().operation) == (0, (), "applied")
