"""The deployer does what every deployer must do, over a cloud in memory."""

from mlops_core.testing.deployer_suite import DeployerSuite


class TestSageMakerDeployer(DeployerSuite):
    """The fixture ``rig`` is the conftest's."""
