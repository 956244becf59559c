"""scikit-learn models as skops or joblib files."""
