"""The local server does what every deployer must do."""

from mlops_core.testing.deployer_suite import DeployerSuite


class TestLocalDeployer(DeployerSuite):
    """On real processes and sockets; the fixture ``rig`` is the conftest's."""
