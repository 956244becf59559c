from mlops_core.exceptions import (
    ExperimentError,
    DeploymentError,
    MonitoringError
)

try:
    tracker.log_params(...)
except ExperimentError as e:
    print(f"Experiment tracking failed: {e.message}")

try:
    deployment.deploy_model(...)
except DeploymentError as e:
    print(f"Deployment failed: {e.message}")
