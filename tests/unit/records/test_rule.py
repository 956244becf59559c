"""A rule that crosses a boundary arrives as it was."""

from datetime import timedelta

from mlops_core.records import RuleSpec, Threshold


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
    assert RuleSpec("errors", "acme", spec.when).window == timedelta(minutes=5)
