from mlops_core import ModelDeployment

deployment = ModelDeployment(tenant_id="tenant_123")

# Deploy to production
deployment_info = deployment.deploy_model(
    model_id="ticket_classifier",
    version="1.0.0",
    environment="production"
)

print(f"Deployment ID: {deployment_info['deployment_id']}")
print(f"Status: {deployment_info['status']}")

# Rollback deployment
deployment.rollback_deployment(deployment_info['deployment_id'])
