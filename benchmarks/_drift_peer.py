"""The peer's side of ``drift.py psi``, in an environment of its own: fit and compare every column, once for each line read.

    python _drift_peer.py INPUT.npz

The first line answered is the peer's versions in JSON; each further one the seconds that a round took.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

import numpy as np
from frouros.detectors.data_drift import PSI  # type: ignore[import-not-found]  # lives in an environment of its own


def main() -> None:
    """Answer until the input ends."""
    with np.load(sys.argv[1], allow_pickle=False) as data:
        reference, current = data["reference"], data["current"]
    print(json.dumps({name: version(name) for name in ("frouros", "numpy")}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        for before, after in zip(reference.T, current.T, strict=True):
            detector = PSI(num_bins=10)
            detector.fit(X=before)
            detector.compare(X=after)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
