"""What a registry consists of in one process."""

from __future__ import annotations

import os
import threading

from attrs import define, field

from mlops_registry_s3.blobs import S3Blobs
from mlops_registry_s3.bucket import Bucket
from mlops_registry_s3.client import S3Client
from mlops_registry_s3.generations import Generations
from mlops_registry_s3.journals import Journals
from mlops_registry_s3.leases import Leases
from mlops_registry_s3.probe import prove
from mlops_registry_s3.search import Search
from mlops_registry_s3.sweep import Sweep
from mlops_registry_s3.tombstones import Tombstones
from mlops_registry_s3.versions import VersionLog
from mlops_registry_s3.writer import Writer

__all__ = ["Parts"]


@define(eq=False)
class Parts:
    """Each part knows those above it. Making them does no I/O."""

    client: S3Client
    name: str
    prefix: str
    settle: float
    pid: int = field(factory=os.getpid, init=False)
    bucket: Bucket = field(init=False)
    generations: Generations = field(init=False)
    journals: Journals = field(init=False)
    leases: Leases = field(init=False)
    tombstones: Tombstones = field(init=False)
    search: Search = field(init=False)
    writer: Writer = field(init=False)
    sweep: Sweep = field(init=False)
    _proved: bool = field(default=False, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self.bucket = Bucket(self.client, self.name, self.prefix)
        self.generations = Generations(S3Blobs(self.client, self.name, self.prefix))
        self.journals = Journals(self.bucket, self.generations)
        self.leases = Leases(self.bucket)
        self.tombstones = Tombstones(self.bucket, self.journals)
        log = VersionLog(self.bucket)
        self.search = Search(log, self.tombstones)
        self.writer = Writer(log, self.tombstones, self.generations, self.settle)
        self.sweep = Sweep(self.generations, self.journals, self.search, self.tombstones, self.settle)

    def prove(self) -> None:
        """Look at the endpoint, once."""
        if not self._proved:
            with self._lock:
                if not self._proved:
                    prove(self.bucket)
                    self._proved = True
