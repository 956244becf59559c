"""How the versions of a rollout compare."""

from mlops_core.records import VersionFigures


def test_a_rate_needs_requests() -> None:
    assert VersionFigures("1.0.0", "live").error_rate is None
    assert VersionFigures("1.0.0", "live", requests=8, errors=2).error_rate == 0.25
