"""Options of the core's tests."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fault-rounds",
        type=int,
        default=3,
        help="how many random moments a fault test tries (default 3; the session `faults` tries 20)",
    )


@pytest.fixture(scope="session")
def fault_rounds(request: pytest.FixtureRequest) -> int:
    """How many random moments a fault test tries."""
    return int(request.config.getoption("--fault-rounds"))
