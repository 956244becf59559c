class CustomDriftDetector(DriftDetector):
    def detect_custom_drift(self, data1, data2):
        # Custom drift detection logic
        return drift_result
