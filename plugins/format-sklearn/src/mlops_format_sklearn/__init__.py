"""scikit-learn models as skops or joblib files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import Format

__all__ = ["mlops_format"]


@hookimpl
def mlops_format(name: str) -> type[Format]:
    """Hand over the class of ``skops`` or ``joblib``."""
    if name == "joblib":
        from mlops_format_sklearn.joblib_format import JoblibFormat

        return JoblibFormat
    from mlops_format_sklearn.skops_format import SkopsFormat

    return SkopsFormat
