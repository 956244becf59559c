from mlops_core import DriftDetector
import numpy as np

detector = DriftDetector(tenant_id="tenant_123")

# Detect data drift
data_drift = detector.detect_data_drift(
    reference_data=reference_features,
    current_data=current_features,
    threshold=0.05
)

if data_drift['drift_detected']:
    print(f"Data drift detected! P-value: {data_drift['p_value']}")

# Detect model drift
model_drift = detector.detect_model_drift(
    reference_metrics={"accuracy": 0.95, "f1": 0.93},
    current_metrics={"accuracy": 0.88, "f1": 0.85},
    threshold=0.1
)

if model_drift['drift_detected']:
    print(f"Model drift detected! Degradation: {model_drift['degradation']}")

# Check drift
drift_results = detector.check_drift(
    reference_data=reference_features,
    current_data=current_features,
    reference_metrics=ref_metrics,
    current_metrics=curr_metrics
)
