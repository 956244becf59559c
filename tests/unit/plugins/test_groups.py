import tomllib
from pathlib import Path

import pytest

from mlops_core import hookspecs
from mlops_core.exceptions import PluginError
from mlops_core.plugins.groups import CONTRACTS, FIRST_PARTY, GROUPS, RESERVED, group_of

ROOT = Path(__file__).parents[3]


def test_every_role_hook_has_a_group_and_every_group_a_hook() -> None:
    hooks = {name for name in hookspecs.__all__ if name.startswith("mlops_")}
    assert {group.hook for group in GROUPS.values()} == hooks
    assert len(GROUPS) == 10


def test_the_name_of_an_entry_point_group_is_that_of_its_role() -> None:
    assert GROUPS["drift"].entry_points == "mlops_core.drift"
    assert GROUPS["drift"].wanted == "DriftTest or StreamTest"


def test_the_project_knows_its_own_distributions() -> None:
    """Whoever names a plugin that is not installed is told the command; a name that is missing here would be told nothing."""
    offered: dict[str, str] = {}
    for path in ROOT.glob("plugins/*/pyproject.toml"):
        described = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        for group, names in described["entry-points"].items():
            offered |= {f"{group.partition('.')[2]}.{name}": described["name"] for name in names}
    assert dict(FIRST_PARTY) == offered


def test_keys_that_the_core_reads_are_reserved_everywhere() -> None:
    assert all(group.reserved >= RESERVED for group in GROUPS.values())
    assert "tokens" in GROUPS["deployer"].reserved
    assert "tokens" not in GROUPS["tracker"].reserved


def test_this_release_speaks_contract_one() -> None:
    assert frozenset({1}) == CONTRACTS


def test_a_word_that_is_no_role_is_refused_with_the_nearest() -> None:
    assert group_of("sink").role == "sink"
    with pytest.raises(PluginError, match=r"no role 'trackers' - did you mean 'tracker'\?"):
        group_of("trackers")
