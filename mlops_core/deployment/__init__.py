"""Deployments: one state machine over every deployer."""

from __future__ import annotations

from mlops_core.deployment.canary import Judgement, Look, Verdict, judge
from mlops_core.deployment.client import Client
from mlops_core.deployment.facade import ModelDeployment
from mlops_core.deployment.ports import Ports
from mlops_core.deployment.tokens import Tokens

__all__ = ["Client", "Judgement", "Look", "ModelDeployment", "Ports", "Tokens", "Verdict", "judge"]
