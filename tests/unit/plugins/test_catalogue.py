import logging
import sys

import pytest

from mlops_core.exceptions import PluginError, PluginNotFoundError
from mlops_core.plugins import Catalogue, Installed
from tests.unit.conftest import Strangers

BOMB = "raise RuntimeError('imported')"


def test_a_plugin_is_found_in_the_metadata_without_being_imported(strangers: Strangers) -> None:
    module = strangers.plugin("drift", "median", BOMB)
    found = Catalogue().find("drift", "median")
    assert found == Installed("drift", "median", module, "acme-extras", "1.2")
    assert (found.plugin, found.source) == ("drift.median", "acme-extras 1.2")
    assert module not in sys.modules


def test_what_the_core_ships_is_found_through_the_same_door() -> None:
    shipped = {one.plugin for one in Catalogue() if one.distribution == "motadata-mlops-core"}
    assert shipped == {"alert.log", "executor.inline", "executor.process", "format.json", "format.npy"}


def test_names_of_a_role_are_sorted(strangers: Strangers) -> None:
    strangers.distribution("acme", "1", {"tracker": {"zeta": "m", "alpha": "m"}})
    names = Catalogue().names("tracker")
    assert names == tuple(sorted(names))
    assert {"alpha", "zeta"} <= set(names)


def test_entry_points_of_other_groups_are_no_plugins(strangers: Strangers) -> None:
    strangers.distribution("acme", "1", {"unheard_of": {"x": "m"}})
    assert all(one.name != "x" for one in Catalogue())


def test_a_name_that_nobody_offers_is_told_with_the_nearest() -> None:
    with pytest.raises(PluginNotFoundError, match=r"^executor\.proces: no installed .* did you mean 'process'\?$"):
        Catalogue().find("executor", "proces")


def test_a_name_like_no_other_is_told_with_what_there_is() -> None:
    with pytest.raises(PluginNotFoundError, match=r"known are: inline, process$"):
        Catalogue().find("executor", "zzzzzz")


def test_a_missing_plugin_of_the_project_is_told_with_its_command(monkeypatch: pytest.MonkeyPatch, strangers: Strangers) -> None:
    monkeypatch.setattr(sys, "path", [str(strangers.folder)])
    with pytest.raises(
        PluginNotFoundError, match=r"tracker\.mlflow: its plugin is not installed - run: pip install motadata-mlops-tracker-mlflow"
    ):
        Catalogue().find("tracker", "mlflow")


def test_a_misspelled_plugin_of_the_project_is_recognised_though_it_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, strangers: Strangers
) -> None:
    monkeypatch.setattr(sys, "path", [str(strangers.folder)])
    with pytest.raises(PluginNotFoundError, match="did you mean 'mlflow'"):
        Catalogue().find("tracker", "mlfow")


def test_two_distributions_that_claim_a_name_are_both_named(strangers: Strangers) -> None:
    strangers.distribution("acme", "1.0", {"sink": {"kafka": "acme_kafka"}})
    strangers.distribution("other", "2.0", {"sink": {"kafka": "other_kafka"}})
    with pytest.raises(
        PluginError, match=r"sink\.kafka: acme 1\.0 \(acme_kafka\) and other 2\.0 \(other_kafka\) both claim .* uninstall one"
    ):
        Catalogue().find("sink", "kafka")


def test_of_a_distribution_that_is_on_the_path_twice_the_first_counts(
    strangers: Strangers, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers.distribution("Acme.Extras", "1.0", {"sink": {"kafka": "older"}})
    shadow = Strangers(tmp_path_factory.mktemp("shadow"))
    shadow.distribution("acme-extras", "2.0", {"sink": {"kafka": "newer"}})
    monkeypatch.syspath_prepend(shadow.folder)
    assert Catalogue().find("sink", "kafka").version == "2.0"


def test_metadata_that_cannot_be_read_stops_nobody(strangers: Strangers, caplog: pytest.LogCaptureFixture) -> None:
    strangers.distribution("broken", "1", {"sink": {"kafka": "m"}})
    (strangers.folder / "broken-1.dist-info" / "entry_points.txt").write_text("[mlops_core.sink]\nno equals sign\n")
    with caplog.at_level(logging.WARNING, "mlops_core.plugins.catalogue"):
        assert "inline" in Catalogue().names("executor")
    assert "metadata of a distribution cannot be read" in caplog.text


def test_metadata_without_a_name_is_listed_as_unknown(strangers: Strangers) -> None:
    strangers.distribution("nameless", "1", {"sink": {"kafka": "m"}}, metadata="Metadata-Version: 2.1\n")
    assert Catalogue().find("sink", "kafka").source == "? ?"


def test_the_scan_is_made_once(strangers: Strangers) -> None:
    catalogue = Catalogue()
    before = catalogue.names("sink")
    strangers.distribution("late", "1", {"sink": {"late": "m"}})
    assert catalogue.names("sink") == before
    assert "late" in Catalogue().names("sink")
