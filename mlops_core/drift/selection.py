"""Which tests a check runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlops_core.drift.guard import name_list, own_errors
from mlops_core.exceptions import DriftDetectionError, checks_input
from mlops_core.roles import DriftTest, StreamTest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlops_core.stack import Stack

__all__ = ["DEFAULT_TESTS", "choose_stream_test", "choose_tests", "listed_tests", "locate_stack"]

DEFAULT_TESTS: Final = ("ks", "psi")
"""Where neither the caller nor the configuration names any."""


@checks_input
def listed_tests(names: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """The names that a caller gave, once each; None for none.

    Raises:
        DriftDetectionError: It is no list of names, or an empty one.
    """
    if names is None:
        return None
    listed = name_list(names)
    if not listed:
        raise DriftDetectionError(f"drift: tests: expected names, got {names!r:.60} - give some such as ['ks', 'psi']")
    return listed


def choose_tests(stack: Stack, names: Sequence[str] | None) -> Mapping[str, DriftTest]:
    """The tests of these names, or those that the configuration names, else ``DEFAULT_TESTS``. Tests of a stream are left out unless named.

    Raises:
        DriftDetectionError: There is no such test, or it does not compare two samples.
    """
    found: dict[str, DriftTest | StreamTest] = {}
    with own_errors():
        if names is None:
            found = {name: test for name, test in stack.parts.drift_tests.items() if not isinstance(test, StreamTest)}
            names = () if found else DEFAULT_TESTS
        found.update({name: stack.parts.drift_test(name) for name in names})
    return {name: _two_sample(name, test) for name, test in found.items()}


def _two_sample(name: str, test: DriftTest | StreamTest) -> DriftTest:
    if isinstance(test, StreamTest) or test.scope == "labelled":
        what = "one value at a time" if isinstance(test, StreamTest) else "pairs of values and labels"
        raise DriftDetectionError(f"drift: test {name!r} takes {what}, not two samples - name another test, such as 'ks'")
    return test


def choose_stream_test(stack: Stack, name: str) -> StreamTest:
    """The test of a stream of this name.

    Raises:
        DriftDetectionError: There is no such test, or it compares two samples.
    """
    (only,) = listed_tests([name]) or ()
    with own_errors():
        test = stack.parts.drift_test(only)
    if not isinstance(test, StreamTest):
        raise DriftDetectionError(f"drift: test {only!r} compares two samples, and takes no stream - name another test, such as 'adwin'")
    return test


def locate_stack(tenant: str | None, given: Stack | None = None) -> Stack:
    """The given stack, else the project's; raises ``DriftDetectionError`` with what is wrong in its configuration."""
    from mlops_core.stack import stack_for

    with own_errors():
        return stack_for(given, tenant)
