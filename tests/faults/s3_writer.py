"""Writes to a registry in a bucket and is killed on the way: run as a script, one JSON request a line, one answer a line.

Each request is carried out by a forked child. It names the store's options, the file for what was acknowledged, and where to die:
``before`` or ``after`` the ``nth`` request to the server. The answer tells how the child ended and how many requests it made.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Any

from botocore.httpsession import URLLib3Session

from mlops_core.journal import Head, Journal
from mlops_core.records import File, ModelVersion, NewEntry
from mlops_registry_s3.registry import S3Registry

BIG = bytes(range(256)) * (36 << 10)  # 9 MiB: two parts


def watch(when: str, nth: int) -> list[int]:
    """Count the requests, and die at one of them as by ``kill -9``."""
    passed, lock, real = [0], threading.Lock(), URLLib3Session.send

    def send(session: URLLib3Session, request: Any) -> Any:
        with lock:
            passed[0] += 1
            mine = passed[0] == nth
        if mine and when == "before":
            die()
        answer = real(session, request)
        if mine and when == "after":
            die()
        return answer

    URLLib3Session.send = send  # type: ignore[method-assign,assignment]  # the child's own
    return passed


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal arrives before anything else happens


def write(options: dict[str, Any], acknowledged: str) -> None:
    """Everything that a registering process writes; a request key makes each step repeatable."""
    store = S3Registry(**options)
    log = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def acknowledge(**what: Any) -> None:
        os.write(log, (json.dumps(what) + "\n").encode())

    for turn in range(2):
        data = BIG if turn else b"weights"
        file = File("model.bin", store.put_artifact("acme", io.BytesIO(data), size=len(data)))
        acknowledge(blob=hashlib.sha256(data).hexdigest())
        key = f"turn {turn}"

        def make(number: int, key: str = key, file: File = file) -> ModelVersion:
            return ModelVersion("acme", "m", str(number), key, key, (file,), datetime.now(UTC), number=number)

        version = store.add_next_version("acme", "m", make, key=key)
        acknowledge(version=version.version, key=key)

        def point_to(head: Head, version: ModelVersion = version) -> NewEntry:
            return NewEntry(datetime.now(UTC), "set", state={"version": version.version, "moves": head.state.get("moves", 0) + 1})

        entry = Journal(store, "acme", "aliases/m/champion").update(point_to, key=key)
        acknowledge(alias=key, position=0 if entry is None else entry.position)
        if turn == 0:
            store.retire_version("acme", "m", version.version, NewEntry(datetime.now(UTC), "retired", change={"version": version.version}))
            acknowledge(retired=version.version)
    store.close()


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            passed = watch(request.get("when", ""), request.get("nth", 0))
            try:
                write(request["options"], request["acknowledged"])
                with open(f"{request['acknowledged']}.passed", "w", encoding="utf-8") as file:  # noqa: PTH123  a child that ends at once
                    file.write(str(passed[0]))
                os._exit(0)
            except BaseException as error:  # noqa: BLE001  a child must not go on as its parent
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
                sys.stderr.flush()
                os._exit(1)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        ended = {"signal": os.WTERMSIG(status) if killed else 0, "code": 0 if killed else os.WEXITSTATUS(status)}
        sys.stdout.write(json.dumps(ended) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
