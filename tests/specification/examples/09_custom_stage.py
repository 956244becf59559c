from mlops_core.mlops_pipeline import PipelineStage

# Add custom stage
class CustomPipelineStage(PipelineStage):
    CUSTOM_STAGE = "custom_stage"

# Use in pipeline
pipeline.run_stage(CustomPipelineStage.CUSTOM_STAGE)
