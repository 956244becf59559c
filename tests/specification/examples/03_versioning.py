from mlops_core import ModelVersioning

versioning = ModelVersioning(db, tenant_id="tenant_123")

# Version model
version_id = versioning.version_model(
    model_id="ticket_classifier",
    version="1.0.0",
    model_path="./models/ticket_classifier_v1.joblib",
    metadata={
        "training_date": "2024-01-15",
        "dataset_version": "v2.1",
        "accuracy": 0.95
    }
)

# Get lineage
lineage = versioning.get_lineage("ticket_classifier", version="1.0.0")
print(f"Model lineage: {lineage}")
