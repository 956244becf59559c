"""Serving processes as their supervisor sees them."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys

import pytest

from mlops_deployer_local.member import Member

WAIT = "import signal, time; signal.signal(signal.SIGTERM, signal.{}); print('ready', flush=True); time.sleep(600)"


@pytest.mark.parametrize(("manner", "told"), [("SIG_IGN", False), ("SIG_DFL", True)])
def test_a_process_that_has_to_be_killed_did_not_end_as_it_was_told(manner: str, told: bool) -> None:  # noqa: FBT001  a parameter of pytest
    async def act() -> bool:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", WAIT.format(manner), stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        ours, theirs = socket.socketpair()
        with theirs:
            member = Member(process, *await asyncio.open_connection(sock=ours))
            ended = await member.end(60 if told else 0.1)
        assert process.returncode == -(signal.SIGTERM if told else signal.SIGKILL)
        return ended

    assert asyncio.run(act()) is told
