"""Names that SageMaker takes and that nothing else has."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from mlops_core.records import EndpointKey, ModelVersion
from mlops_deployer_sagemaker.names import config_name, endpoint_name, model_name, tags_of, variant_name

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)
TAKEN = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def version(model: str, name: str, tenant: str = "acme") -> ModelVersion:
    return ModelVersion(tenant, model, name, name, "sha", (), datetime(2024, 1, 1, tzinfo=UTC))


@given(tenant=NAMES, environment=NAMES, model=NAMES, name=NAMES)
def test_whatever_we_are_called_sagemaker_takes_it(tenant: str, environment: str, model: str, name: str) -> None:
    endpoint = endpoint_name(EndpointKey(tenant, environment, model), "s3://models")
    made = model_name(endpoint, version(model, name, tenant), ["image", "role"])
    for one in (endpoint, made, variant_name(name, made), config_name(endpoint, {"a": 1})):
        assert len(one) <= 63
        assert TAKEN.fullmatch(one)


def test_what_looks_the_same_there_is_apart() -> None:
    alike = ["a.b", "a-b", "a_b", "a" * 100, "a" * 101]
    keys = [EndpointKey(*names) for names in product(alike, alike, alike)]
    endpoints = {endpoint_name(key, bucket) for key in keys for bucket in ("s3://one", "s3://two")}
    assert len(endpoints) == 2 * len(keys)
    models = {model_name("e", version(model, name), container) for model, name in product(["m"], alike) for container in (["1"], ["2"])}
    assert len(models) == 2 * len(alike)
    assert len({variant_name(name, name) for name in alike}) == len(alike)


def test_parts_do_not_run_into_each_other() -> None:
    assert endpoint_name(EndpointKey("a", "b", "c"), "s3://x") != endpoint_name(EndpointKey("a", "bc", ""), "s3://x")


def test_tags_say_whose_it_is() -> None:
    found = tags_of(EndpointKey("acme", "staging", "delays"), version="1.0.0")
    assert found == [
        {"Key": "mlops:tenant", "Value": "acme"},
        {"Key": "mlops:environment", "Value": "staging"},
        {"Key": "mlops:model", "Value": "delays"},
        {"Key": "mlops:version", "Value": "1.0.0"},
    ]
