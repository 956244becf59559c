from pathlib import Path
from typing import Any

import pytest

from mlops_core.builtin import inline_executor
from mlops_core.builtin.inline_executor import InlineExecutor
from mlops_core.records import StackRef, StageTask
from mlops_core.roles import Executor
from mlops_core.testing.executor_suite import ExecutorSuite, answer_task


class TestInlineExecutor(ExecutorSuite):
    def executor(self) -> Executor:
        return InlineExecutor()


def test_the_hook_hands_over_the_class() -> None:
    assert inline_executor.mlops_executor() is InlineExecutor


def test_the_future_is_done_when_submit_returns(tmp_path: Path) -> None:
    future = InlineExecutor().submit(answer_task, StageTask(StackRef(str(tmp_path), "acme"), "r", "s", 1))
    assert future.done()


def test_an_interrupt_is_not_taken_for_a_failure(tmp_path: Path) -> None:
    def interrupted(task: StageTask) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        InlineExecutor().submit(interrupted, StageTask(StackRef(str(tmp_path), "acme"), "r", "s", 1))
