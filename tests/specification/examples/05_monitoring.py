from mlops_core import ModelMonitoring

monitoring = ModelMonitoring(tenant_id="tenant_123")

# Track prediction
monitoring.track_prediction(
    model_id="ticket_classifier",
    prediction_time=0.15,  # seconds
    success=True
)

# Track error
monitoring.track_prediction(
    model_id="ticket_classifier",
    prediction_time=0.05,
    success=False,
    error="Invalid input format"
)

# Get metrics
metrics = monitoring.get_metrics(
    model_id="ticket_classifier",
    time_window=timedelta(hours=1)
)

print(f"Total predictions: {metrics['total_predictions']}")
print(f"Success rate: {metrics['success_rate']}")
print(f"Average latency: {metrics['avg_latency']}s")

# Check health
health = monitoring.check_health("ticket_classifier")
print(f"Model health: {health['status']}")
