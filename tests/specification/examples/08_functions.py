from mlops_core.functions import (
    create_mlops_pipeline,
    create_experiment_tracker,
    create_model_versioning,
    create_model_deployment,
    create_model_monitoring,
    create_drift_detector
)

# Create components
pipeline = create_mlops_pipeline("pipeline_1", tenant_id="tenant_123")
tracker = create_experiment_tracker(tenant_id="tenant_123")
monitoring = create_model_monitoring(tenant_id="tenant_123")
