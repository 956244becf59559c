"""A rule that crosses a boundary arrives as it was."""

from datetime import timedelta

from mlops_core.records import BurnSpec, BurnTier, RuleSpec, Threshold


def test_round_trip() -> None:
    spec = RuleSpec(
        name="errors",
        tenant="acme",
        when=Threshold.parse("error_rate > 2%"),
        window=timedelta(minutes=15),
        hold_for=timedelta(minutes=1),
        clear=Threshold.parse("error_rate < 1%"),
        keep=timedelta(minutes=5),
        no_data="keep",
        model="tickets",
        environment="production",
    )
    assert RuleSpec.from_dict(spec.to_dict()) == spec
    burn = BurnSpec("slo.page", "acme", 0.999, (BurnTier(14.4, timedelta(hours=1), timedelta(minutes=5)),), 0.8, 10, "page", "other")
    assert BurnSpec.from_dict(burn.to_dict()) == burn
    assert RuleSpec("errors", "acme", spec.when).window == timedelta(minutes=5)
