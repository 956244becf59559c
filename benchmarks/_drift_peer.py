"""The peers' side of ``drift.py`` and ``mmd.py``, in an environment of its own: a whole test, once for each line read.

    python _drift_peer.py {psi,mmd} INPUT.npz

The first line answered is the peer's versions and settings in JSON; each further one the seconds that a round took and what it found.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Side = tuple["Mapping[str, object]", "Callable[[], object]"]


def stability(data: Mapping[str, Any]) -> Side:
    """Every column fitted and compared by frouros."""
    from frouros.detectors.data_drift import PSI  # type: ignore[import-not-found]  # lives in an environment of its own

    reference, current = data["reference"], data["current"]

    def act() -> None:
        for before, after in zip(reference.T, current.T, strict=True):
            detector = PSI(num_bins=10)
            detector.fit(X=before)
            detector.compare(X=after)

    return {name: version(name) for name in ("frouros", "numpy")}, act


def discrepancy(data: Mapping[str, Any]) -> Side:
    """MMD by alibi-detect as it comes, on the faster of its backends and in the faster precision, which it takes from its input."""
    import torch  # type: ignore[import-not-found]  # lives in an environment of its own
    from alibi_detect.cd import MMDDrift  # type: ignore[import-not-found]  # the same

    reference, current, permutations = data["reference"].astype("float32"), data["current"].astype("float32"), int(data["permutations"])

    def act() -> object:
        detector = MMDDrift(reference, backend="pytorch", n_permutations=permutations, device="cpu")
        found: Mapping[str, Any] = detector.predict(current)
        return {"p_value": float(found["data"]["p_val"]), "squared": float(found["data"]["distance"])}

    versions = {name: version(name) for name in ("alibi-detect", "torch", "numpy")}
    return {**versions, "backend": "pytorch", "precision": "float32", "threads": torch.get_num_threads()}, act


def side(kind: str, path: str) -> Side:
    """What runs on these arrays; one line where a library is missing."""
    try:
        import numpy as np

        with np.load(path, allow_pickle=False) as data:
            return {"psi": stability, "mmd": discrepancy}[kind](dict(data))
    except ImportError as error:
        raise SystemExit(str(error)) from None


def main() -> None:
    """Answer until the input ends."""
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # libraries may print
        told, act = side(*sys.argv[1:])
        print(json.dumps(told), file=answers, flush=True)
        for _ in sys.stdin:
            began = time.perf_counter()
            found = act()
            print(json.dumps([time.perf_counter() - began, found]), file=answers, flush=True)


if __name__ == "__main__":
    main()
