from mlops_core.config.origin import Origin
from mlops_core.structure import Misfit, Problem

ORIGIN = Origin(
    documents=(("mlops.yaml", "..."), ("mlops.x.yaml", "...")),
    places={
        "": ("mlops.yaml:1:1", "mlops.yaml:1:1"),
        "tracker": ("mlops.yaml:4:1", "mlops.yaml:5:3"),
        "tracker.use": ("mlops.yaml:5:3", "mlops.yaml:5:8"),
        "tracker.port": ("mlops.x.yaml:2:3", "mlops.x.yaml:2:9"),
        "drift.tests": ("mlops.yaml:10:3", "mlops.yaml:10:10"),
        "drift.tests[1]": ("mlops.yaml:10:14", "mlops.yaml:10:14"),
    },
)


def test_a_key_path_has_a_place_for_its_key_and_one_for_its_value() -> None:
    assert ORIGIN.place("tracker") == "mlops.yaml:5:3"
    assert ORIGIN.place("tracker", on_key=True) == "mlops.yaml:4:1"


def test_what_is_not_written_stands_where_its_parent_does() -> None:
    assert ORIGIN.place("tracker.url", on_key=True) == "mlops.yaml:5:3"
    assert ORIGIN.place("drift.tests[1].alpha.beta") == "mlops.yaml:10:14"
    assert ORIGIN.place("drift.tests[7]") == "mlops.yaml:10:10"
    assert ORIGIN.place("unheard.of") == "mlops.yaml:1:1"
    assert ORIGIN.place("") == "mlops.yaml:1:1"


def test_without_a_file_there_is_no_place() -> None:
    assert Origin().place("tracker.use") == ""
    assert Origin().lines(Misfit(Problem(("a",), "wrong")), "tracker") == ["tracker.a: wrong"]


def test_a_line_names_place_key_and_mistake() -> None:
    misfit = Misfit(Problem(("trackng_uri",), "unknown key 'trackng_uri'", on_key=True), Problem(("port",), "expected a whole number"))
    assert ORIGIN.lines(misfit, "tracker") == [
        "mlops.yaml:5:3: tracker: unknown key 'trackng_uri'",
        "mlops.x.yaml:2:9: tracker.port: expected a whole number",
    ]


def test_a_mistake_at_the_top_needs_no_key() -> None:
    assert ORIGIN.lines(Misfit(Problem((), "missing key 'version'"))) == ["mlops.yaml:1:1: missing key 'version'"]
    assert ORIGIN.lines(Misfit(Problem(("x",), "unknown key 'x'", on_key=True))) == ["mlops.yaml:1:1: unknown key 'x'"]


def test_where_no_place_is_known_the_callers_stands_in() -> None:
    assert Origin().lines(Misfit.of("wrong"), "tracker", "mlops.yaml:9:9") == ["mlops.yaml:9:9: tracker: wrong"]


def test_lines_come_in_the_order_of_the_files() -> None:
    lines = ["mlops.x.yaml:1:1: e", "mlops.yaml:10:3: d", "mlops.yaml:10:2: c", "mlops.yaml:9:9: b", "other.yaml:1:1: f", "no place: a"]
    assert [line[-1] for line in ORIGIN.ordered([*lines, lines[0]])] == list("abcdef")
