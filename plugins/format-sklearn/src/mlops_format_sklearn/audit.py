"""Checks on the trees of a model that was read: scikit-learn follows their node indices without looking whether they are inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
from sklearn.tree import BaseDecisionTree

from mlops_core.exceptions import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from sklearn.tree._tree import Tree

__all__ = ["audit"]

_LEAF = -1
_WORDS = 8  # 32-bit words of a set of categories, at most 256 of them


def audit(model: Any) -> None:
    """Walk everything that a model holds and check each tree.

    Raises:
        ArtifactError: An index of a tree points out of its arrays or back, or a tree asks for a feature that the model does not have.
    """
    for part in _parts(model):
        if isinstance(part, BaseDecisionTree) and hasattr(part, "tree_"):
            _check_tree(part.tree_, part.n_features_in_)
        elif isinstance(part, BaseGradientBoosting) and hasattr(part, "estimators_"):
            _check_boosting(part)
        elif isinstance(part, BaseHistGradientBoosting) and hasattr(part, "_predictors"):
            _check_histogram_boosting(part)


def _parts(model: Any) -> Iterator[Any]:
    seen: set[int] = set()
    kept, waiting = [], [model]  # what was seen is kept, so that no address is given twice
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, str | bytes | int | float | type(None)):
            continue
        seen.add(id(part))
        kept.append(part)
        yield part
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple | set | frozenset) or (isinstance(part, np.ndarray) and part.dtype == object):
            waiting += list(part.flat) if isinstance(part, np.ndarray) else list(part)
        waiting += list(getattr(part, "__dict__", {}).values())


def _need(holds: object, what: str) -> None:
    if not holds:
        raise ArtifactError(f"format skops: the model is not sound: {what} - restore the file it was made from")


def _check_tree(tree: Tree, features: int) -> None:
    _need(0 < tree.node_count <= tree.capacity, "a tree has more nodes than it holds")
    left, right = tree.children_left, tree.children_right
    inner = left != _LEAF
    _need(np.array_equal(inner, right != _LEAF), "a node of a tree has one child")
    _check_nodes(inner, left, right, tree.feature, features)
    _need(tree.n_features <= features, "a tree was made for more features than the model has")
    _need(tree.max_depth >= _depth(inner, left, right), "a tree is deeper than it says")


def _check_nodes(inner: NDArray[Any], left: NDArray[Any], right: NDArray[Any], feature: NDArray[Any], features: int) -> None:
    count = len(inner)
    children = np.concatenate([left[inner], right[inner]]).astype(np.int64)
    above = np.tile(np.flatnonzero(inner), 2)
    _need(np.all((children > above) & (children < count)), "a tree's index leads out of it or back")
    _need(len(np.unique(children)) == len(children), "two nodes of a tree share a child")
    asked = feature[inner].astype(np.int64)
    _need(np.all((asked >= 0) & (asked < features)), "a tree asks for a feature that the model does not have")


def _depth(inner: NDArray[Any], left: NDArray[Any], right: NDArray[Any]) -> int:
    depth, level = 0, np.array([0])
    while len(level := level[inner[level]]):
        depth, level = depth + 1, np.concatenate([left[level], right[level]])
    return depth


def _check_boosting(model: Any) -> None:
    classes = getattr(model, "classes_", ())
    outputs = 1 if len(classes) <= 2 else len(classes)  # noqa: PLR2004  two classes share one score
    _need(np.ndim(model.estimators_) == 2 and model.estimators_.shape[1] == outputs, "its stages do not fit its classes")  # noqa: PLR2004
    _need(getattr(model, "n_trees_per_iteration_", outputs) == outputs, "its stages do not fit its classes")
    _need(len(getattr(model.init_, "classes_", classes)) == len(classes), "its first guess does not fit its classes")
    for tree in model.estimators_.flat:
        _check_tree(tree.tree_, model.n_features_in_)


def _check_histogram_boosting(model: Any) -> None:
    categorical = np.asarray(model._bin_mapper.is_categorical_)  # noqa: SLF001  the arrays that it is about are private
    _need(len(categorical) == model.n_features_in_, "its categories do not fit its features")
    for predictor in (one for stage in model._predictors for one in stage):  # noqa: SLF001  as above
        nodes, sets = predictor.nodes, predictor.raw_left_cat_bitsets
        _need(np.ndim(nodes) == 1 and len(nodes) > 0, "a tree is empty")
        inner = nodes["is_leaf"] == 0
        _check_nodes(inner, nodes["left"], nodes["right"], nodes["feature_idx"], model.n_features_in_)
        by_set = inner & (nodes["is_categorical"] != 0)
        if by_set.any():
            _need(np.ndim(sets) == 2 and sets.shape[1] == _WORDS, "a set of categories is cut short")  # noqa: PLR2004  two axes
            _need(np.all(nodes["bitset_idx"][by_set] < len(sets)), "a set of categories is missing")
            _need(np.all(categorical[nodes["feature_idx"][by_set]]), "a number is taken for a category")
