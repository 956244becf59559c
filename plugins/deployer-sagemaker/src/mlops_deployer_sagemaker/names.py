"""What things are called in SageMaker: readable first, then a hash of everything that tells them apart.

SageMaker takes letters, digits and hyphens, at most 63 of them, while our names also have dots and underscores; so two of ours may look the
same there, and only the hash, of all parts at their full length, keeps them apart.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mlops_core.records import EndpointKey, ModelVersion

__all__ = ["config_name", "endpoint_name", "folder_of", "model_name", "tags_of", "variant_name"]

_DIGITS: Final = 12


def endpoint_name(key: EndpointKey, bucket: str) -> str:
    """Of an endpoint, up to 52 characters. ``bucket`` tells projects of one account apart."""
    return f"{_slug(key.model, 24)}-{_slug(key.environment, 14)}-{_hash(bucket, key.tenant, key.environment, key.model)}"


def model_name(endpoint: str, version: ModelVersion, container: Any) -> str:
    """Of a version in its ``container``, a value for JSON: with another image or role it is another model."""
    readable = f"{_slug(version.model, 24)}-{_slug(version.version, 24)}"
    return f"{readable}-{_hash(endpoint, version.version, version.digest, container)}"


def variant_name(version: str, model: str) -> str:
    """Of the production variant that serves a model."""
    return f"{_slug(version, 40)}-{_hash(model)}"


def config_name(endpoint: str, content: Any) -> str:
    """Of an endpoint configuration, by its content: one of the same name is the same."""
    return f"{endpoint}-{_hash(content)[:10]}"


def folder_of(key: EndpointKey) -> str:
    """Of what lies in the bucket for an endpoint: the environment first, so that all of one can be listed."""
    return f"{key.environment}/{key.tenant}/{key.model}"


def tags_of(key: EndpointKey, **further: str) -> list[dict[str, str]]:
    """Whose it is, for bills and policies."""
    named = {"tenant": key.tenant, "environment": key.environment, "model": key.model, **further}
    return [{"Key": f"mlops:{name}", "Value": value} for name, value in named.items()]


def _slug(text: str, longest: int) -> str:
    return re.sub("[^a-zA-Z0-9]+", "-", text)[:longest].strip("-") or "x"


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:_DIGITS]
