from mlops_core import ExperimentTracker

# Create tracker
tracker = ExperimentTracker(tracking_uri="./mlruns", tenant_id="tenant_123")

# Create experiment
experiment_id = tracker.create_experiment(
    experiment_name="ticket_classifier_v1",
    tags={"model_type": "classification", "dataset": "tickets_2024"}
)

# Log parameters
tracker.log_params({
    "n_estimators": 100,
    "max_depth": 10,
    "learning_rate": 0.01
})

# Log metrics
tracker.log_metrics({
    "accuracy": 0.95,
    "precision": 0.94,
    "recall": 0.93,
    "f1": 0.935
}, step=1)

# Log artifacts
tracker.log_artifacts({
    "model": "./models/ticket_classifier.joblib",
    "confusion_matrix": "./plots/confusion_matrix.png"
})

# Search experiments
experiments = tracker.search_experiments(filter_string="model_type='classification'")
