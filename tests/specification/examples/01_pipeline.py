from mlops_core import MLOpsPipeline
from mlops_core.mlops_pipeline import PipelineStage

# Create pipeline
pipeline = MLOpsPipeline("ticket_classifier_pipeline", tenant_id="tenant_123")

# Run full pipeline
results = pipeline.run_pipeline(
    stages=[
        PipelineStage.DATA_COLLECTION,
        PipelineStage.DATA_PREPROCESSING,
        PipelineStage.TRAINING,
        PipelineStage.VALIDATION,
        PipelineStage.DEPLOYMENT,
        PipelineStage.MONITORING
    ]
)

# Check status
status = pipeline.get_pipeline_status()
print(f"Pipeline status: {status['status']}")
