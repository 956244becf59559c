"""Types of scikit-learn and numpy that a model may hold beside those that skops itself trusts.

They are of three kinds: plain data written in Python, functions that only compute, and the two tree types, whose arrays are checked by
``audit`` after they are read. Types that hold unchecked memory of their own (``KDTree`` and ``BallTree`` of the nearest neighbours) are
not among them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["TRUSTED"]

_KERNELS: Final = (
    "CompoundKernel",
    "ConstantKernel",
    "DotProduct",
    "ExpSineSquared",
    "Exponentiation",
    "Matern",
    "PairwiseKernel",
    "Product",
    "RBF",
    "RationalQuadratic",
    "Sum",
    "WhiteKernel",
)

TRUSTED: Final = frozenset(
    {
        "functools.partial",
        "numpy.dtype",
        "numpy.max",
        "numpy.mean",
        "numpy.median",
        "numpy.min",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils.validation.check_array",
        *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS),
    }
)
