from mlops_core.pipeline.lineage import parents_of
from mlops_core.records import ArtifactRef, LineageLink, StackRef, StageResult, StageStatus, StageTask, digest_of


def ref(digest: str) -> ArtifactRef:
    return ArtifactRef(digest * 32, 1, "json", "x")


MODEL = ref("dd")
EARLIER = (
    StageResult("collect", StageStatus.SUCCEEDED, {"data": ref("aa")}, params={"path": "a.csv"}),
    StageResult("clean", StageStatus.SUCCEEDED, {"clean": ref("bb")}),
    StageResult("training", StageStatus.SUCCEEDED, {"model": MODEL, "holdout": ref("cc")}, params={"depth": "3"}),
    StageResult("validation", StageStatus.SUCCEEDED, {"validation": ref("ee")}, params={"bound": "1"}),
)


def task(*earlier: StageResult) -> StageTask:
    return StageTask(StackRef("", "acme", pipeline="tickets"), "run-1", "deployment", 1, earlier=earlier)


def test_a_model_comes_from_what_was_there_before_it() -> None:
    assert parents_of(task(*EARLIER), MODEL) == [
        LineageLink("run", "tickets/run-1"),
        LineageLink("data", "collect.data", "aa" * 32),
        LineageLink("data", "clean.clean", "bb" * 32),
        LineageLink("params", "collect, training", digest_of({"collect": {"path": "a.csv"}, "training": {"depth": "3"}})),
    ]


def test_a_model_that_was_given_comes_from_everything() -> None:
    links = parents_of(task(*EARLIER), ref("ff"))
    assert [link.name for link in links if link.kind == "data"] == [
        "collect.data",
        "clean.clean",
        "training.model",
        "training.holdout",
        "validation.validation",
    ]


def test_without_earlier_stages_only_the_run_is_known() -> None:
    assert parents_of(task(), MODEL) == [LineageLink("run", "tickets/run-1")]
