"""Where a path is mounted from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

__all__ = ["network_file_system"]

_NETWORK: Final = frozenset(
    {"afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
)
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")


def network_file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """The type of the network file system that holds ``path``, or None: a local one, or a system that does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    real = path.resolve()
    best = (0, "")
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        place = Path(_ESCAPE.sub(lambda found: chr(int(found[1], 8)), point))
        if place == real or place in real.parents:
            best = max((len(place.parts), kind), best, key=lambda one: one[0])  # of two at one place, the later hides the earlier
    return best[1] if best[1] in _NETWORK else None
