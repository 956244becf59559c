from pathlib import Path

from mlops_core.config.settings import Settings
from mlops_core.stack import Parts
from mlops_core.stack.composed import ComposedParts
from mlops_core.stack.replaced import ReplacedParts
from mlops_core.testing.stack import GivenParts


def test_every_kind_of_parts_offers_the_same(tmp_path: Path) -> None:
    wanted = {name for name in vars(Parts) if not name.startswith("_")}
    composed: Parts = ComposedParts(Settings(), tmp_path)
    given: Parts = GivenParts()
    assert wanted <= set(dir(composed))
    assert wanted <= set(dir(given))
    replaced = ReplacedParts(composed, {})
    assert [name for name in wanted if name not in {"registry", "formats"} and not hasattr(replaced, name)] == []
