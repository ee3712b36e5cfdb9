"""Published values and verdicts, on runs made by hand; and the numbers of the YAMLs against the facts of the papers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from stored_runs import write_run

from lookahead_bench.report import published, verdicts
from lookahead_bench.report.published import beside, papers
from lookahead_bench.report.settings import outcomes, problems
from lookahead_bench.report.verdicts import Verdict, as_table
from lookahead_bench.runs.results import load_results, load_runs

FACTS = Path(__file__).resolve().parents[3] / "shared" / "papers"


def claim(test: str, **more: Any) -> list[dict[str, Any]]:
    """One paper with one claim."""
    return [{"paper": "Somebody 2030", "claims": [
        {"claim": "it is so", "source": "table 1", "status": "read", "test": test, "dataset": {"digits": 0.01}} | more
    ]}]  # fmt: skip


def judge(results: Path, papers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> list[Verdict]:
    monkeypatch.setattr(verdicts, "papers", lambda: papers)
    runs = outcomes(load_runs(results))
    return verdicts.verdicts(runs, lambda ids: load_results(results, only=ids))


BETTER = claim("better", method="lookahead", other="sgd")
NOISE = [0.0, 0.002, -0.002, 0.001, -0.001]


@pytest.mark.parametrize(
    ("ahead", "word"), [(0.05, "agrees"), (-0.05, "contradicts"), (0.0001, "undecided"), (0.0, "undecided")]
)
def test_better(ahead: float, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, noise in enumerate(NOISE):
        write_run(tmp_path, "sgd", seed, {"fast": 0.8 + 0.01 * seed})
        write_run(tmp_path, "lookahead", seed, {"fast": 0.5, "slow": 0.8 + 0.01 * seed + ahead + noise})
    (found,) = judge(tmp_path, BETTER, monkeypatch)
    assert (found.word, found.seeds) == (word, 5)
    assert found.tuning == "lookahead: lr=0.1, of 1; sgd: lr=0.1, of 1"
    assert found.needed == {0.05: "", -0.05: "", 0.0001: "1965 as measured, 3 as published"}.get(ahead, found.needed)


def test_ranges_of_a_grid_that_is_written_with_few_digits_are_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three good rates of either method, 0.333 and 0.3333 decades apart."""
    for seed in range(6):
        for method, rates in (("sgd", (0.001, 0.001468, 0.002154)), ("lookahead", (0.01, 0.01468, 0.02155))):
            for rate in rates:
                write_run(tmp_path, method, seed, {"fast": 0.9}, optimizer={"lr": rate})
    asked = claim("wider", method="lookahead", other="sgd", key="lr")
    (found,) = judge(tmp_path, asked, monkeypatch)
    assert found.word == "undecided"
    assert "0.33 against 0.33 decades" in found.evidence


def test_one_seed_decides_nothing_and_knows_no_number_of_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path, "sgd", 1, {"fast": 0.1})
    write_run(tmp_path, "lookahead", 1, {"slow": 0.9})
    (found,) = judge(tmp_path, BETTER, monkeypatch)
    assert (found.word, found.needed) == ("undecided", "not known of one seed")
    table = as_table([found])
    assert table is not None
    assert table.lines["evidence"].tolist() == ["test accuracy 90.00 against 10.00, difference 80.00"]
    assert table.lines["on"].tolist() == ["digits cpu mlp"]
    (exact,) = judge(tmp_path, claim("better", method="lookahead", other="sgd", chance=False), monkeypatch)
    assert exact.word == "agrees"


def test_a_side_that_always_diverges_is_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(8):
        write_run(tmp_path, "sgd", seed, {"fast": 0.9})
        write_run(tmp_path, "lookahead", seed, {"slow": "nan"}, status="diverged")
    (found,) = judge(tmp_path, BETTER, monkeypatch)
    assert (found.word, found.needed) == ("contradicts", "")
    assert found.evidence == "test accuracy diverged against 90.00, difference -; 8 and 0 lost"


def test_many_claims_are_corrected_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, noise in enumerate([0.010, 0.004, 0.020, 0.012]):
        write_run(tmp_path, "sgd", seed, {"fast": 0.5})
        write_run(tmp_path, "lookahead", seed, {"slow": 0.5 + noise})
    (alone,) = judge(tmp_path, BETTER, monkeypatch)
    assert alone.compared is not None
    assert 0.025 < (alone.compared.p or 0) < 0.05
    assert [one.word for one in judge(tmp_path, BETTER, monkeypatch)] == ["agrees"]
    assert [one.word for one in judge(tmp_path, BETTER * 2, monkeypatch)] == ["undecided"] * 2


def test_settings_of_one_method_against_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(6):
        for pullback, value in (("pullback", 0.9), ("reset", 0.8), ("none", 0.99)):
            write_run(tmp_path, "lookahead", seed, {"slow": value + 0.001 * seed}, optimizer={"pullback": pullback})
    both = {
        side: {"optimizer": "lookahead", "pullback": how} for side, how in (("method", "pullback"), ("other", "reset"))
    }
    (found,) = judge(tmp_path, claim("better", **both), monkeypatch)
    assert (found.word, found.seeds) == ("agrees", 6)
    assert found.evidence.startswith("test accuracy 90.25 against 80.25")


def test_at_the_same_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation would have sgd take another rate than lookahead."""
    for seed in range(6):
        for rate, mine, other in ((0.1, 0.8, 0.7), (0.2, 0.6, 0.9)):
            write_run(tmp_path, "lookahead", seed, {"slow": mine + 0.001 * seed}, optimizer={"lr": rate})
            write_run(tmp_path, "sgd", seed, {"fast": other}, optimizer={"lr": rate})
    found = judge(tmp_path, claim("better", method="lookahead", other="sgd", matched=["lr"]), monkeypatch)
    assert [(one.word, one.where) for one in found] == [
        ("agrees", "digits cpu mlp lr=0.1"), ("contradicts", "digits cpu mlp lr=0.2"),
    ]  # fmt: skip


def test_wider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of lookahead three decades of rates are within 2 % of its best, of sgd one value; in every seed alike."""
    for seed in range(6):
        for rate in (1e-3, 1e-2, 1e-1, 1.0):
            write_run(tmp_path, "lookahead", seed, {"slow": 0.9}, optimizer={"lr": rate})
            good = 0.95 if rate == 1e-1 or (rate == 1.0 and not seed) else 0.5
            write_run(tmp_path, "sgd", seed, {"fast": good}, optimizer={"lr": rate})
    papers = claim("wider", method="lookahead", other="sgd", key="lr")
    (found,) = judge(tmp_path, papers, monkeypatch)
    assert (found.word, found.seeds) == ("agrees", 6)
    assert found.evidence == "good lr over 3.00 against 0.17 decades; tried 0.001 to 1 (4) and 0.001 to 1 (4)"
    assert judge(tmp_path, claim("wider", method="lookahead", other="sgd", key="k"), monkeypatch) == []
    for seed in range(6):  # better than all of the grid, and no part of it
        write_run(tmp_path, "lookahead", seed, {"slow": 0.99}, optimizer={"lr": 0.1, "k": 20})
    assert judge(tmp_path, papers, monkeypatch)[0].evidence == found.evidence


def test_steadier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(6):
        saw = [0.1, 0.2, 0.3, 0.5, 0.8, 0.6 + 0.01 * seed, 0.8, 0.6]
        curves = {"fast": saw, "slow": [0.1, 0.2, 0.3, 0.5, 0.6, 0.61, 0.62, 0.63]}
        write_run(tmp_path, "lookahead", seed, {"fast": 0.6, "slow": 0.63}, curves=curves)
    (found,) = judge(tmp_path, claim("steadier", method="lookahead"), monkeypatch)
    assert (found.word, found.seeds) == ("agrees", 6)
    assert found.evidence.startswith("val accuracy changes by 1.00 (slow) against ")


def test_converges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def game(name: str, rho: float, end: float, **more: Any) -> None:
        task = {"name": "quadratic_game", "rho": rho}
        write_run(
            tmp_path, name, 1, {"fast": end}, dataset=task, metric="distance", curves={"fast": [3.0, end]}, **more
        )

    game("rapp", -0.4, 0.5)
    game("rapp", -0.6, 9.0)  # out of what is claimed
    game("sgd", -0.4, 2.0)
    expect = [{"optimizer": "rapp", "converges": True}, {"optimizer": "sgd", "converges": False}]
    papers = claim("converges", dataset={"quadratic_game": None}, where={"dataset.rho": {"above": -0.5}}, expect=expect)
    (found,) = judge(tmp_path, papers, monkeypatch)
    assert (found.word, found.evidence) == ("agrees", "rapp 3 to 0.5; sgd 3 to 2")
    game("eg_plus", -0.4, 1.0, status="diverged")
    expect[1] = {"optimizer": "eg_plus", "converges": True}
    (found,) = judge(tmp_path, papers, monkeypatch)
    assert (found.word, found.evidence) == ("contradicts", "rapp 3 to 0.5; eg_plus diverges")
    expect[1] = {"optimizer": "extragradient", "converges": True}
    (found,) = judge(tmp_path, papers, monkeypatch)
    assert (found.word, found.evidence) == ("undecided", "rapp 3 to 0.5; no runs of 1 of the methods")


# ---------------------------------------------------------------------------------------------------------- published


def test_ours_stands_beside_with_what_is_different_and_a_recalled_value_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"optimizer": "sgd", "value": 0.95, "settings": {"lr": 0.05}, "status": "read", "source": "table 1"},
            {"optimizer": "adam", "value": 0.77, "status": "recalled", "source": "nobody"}]  # fmt: skip
    table = {"table": "CIFAR-10", "dataset": "cifar10", "metric": "accuracy", "rows": rows,
             "setup": {"model": "resnet18", "epochs": 200, "dataset.batch_size": 64}}  # fmt: skip
    monkeypatch.setattr(published, "papers", lambda: [{"paper": "Somebody 2030", "values": [table]}])
    for name in ("sgd", "adam"):
        write_run(tmp_path, name, 1, {"fast": 0.8}, dataset={"name": "cifar10", "batch_size": 64}, epochs=10)
    found = beside(list(problems(outcomes(load_runs(tmp_path)))))
    assert found is not None
    ((line),) = found.lines.to_dict("records")
    assert [line[c] for c in ("optimizer", "published", "scale", "ours", "seeds")] == [
        "sgd",
        "95.00",
        "cpu",
        "80.00",
        "1",
    ]
    assert line["differences of set-up"] == "model mlp (resnet18), epochs 10 (200), lr 0.1 (0.05)"
    rows.pop(0)
    assert beside(list(problems(outcomes(load_runs(tmp_path))))) is None


def numbers_read(node: Any) -> set[float]:
    """Every `mean` of the facts that is marked as read; of a list, seeds or splits, its numbers and their own mean."""
    if isinstance(node, list):
        return set().union(*map(numbers_read, node))
    if not isinstance(node, dict):
        return set()
    value = node.get("mean") if node.get("status") == "read" else None
    numbers = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, int | float)]
    mine = {*map(float, numbers), *([round(math.fsum(numbers) / len(numbers), 3)] if numbers else [])}
    return mine.union(*map(numbers_read, node.values()))


def test_every_published_value_was_read() -> None:
    if not FACTS.is_dir():
        pytest.skip("the facts of the papers are not here")
    counts = {}
    for path in sorted(Path(published.__file__).parent.glob("*.yaml")):
        read = numbers_read(yaml.safe_load((FACTS / path.name).read_text()))
        ours = yaml.safe_load(path.read_text())
        for table in ours.get("values", ()):
            for row in table["rows"]:
                assert row["status"] == "read"
                unit = 100 if table["metric"] == "accuracy" else 1
                assert round(unit * row["value"], 6) in read, (path.name, row)
        counts[path.stem] = sum(len(table["rows"]) for table in ours.get("values", ()))
    assert counts["lookahead_2019"] == 9 + 18  # a third party's
    assert counts["radam_2019"] == 3
    assert counts["rapp_2023"] == 0  # its tables are images


def test_every_claim_can_be_judged() -> None:
    """The names that claims use are names of this project."""
    conf = Path(__file__).resolve().parents[2] / "conf"
    known = {group: {path.stem for path in (conf / group).glob("*.yaml")} for group in ("dataset", "optimizer")}
    for paper in papers():
        for one in paper.get("claims", ()):
            assert set(one["dataset"]) <= known["dataset"]
            sides = [*one.get("expect", ()), *(one[side] for side in ("method", "other") if side in one)]
            assert {side if isinstance(side, str) else side["optimizer"] for side in sides} <= known["optimizer"]
            assert one["test"] in verdicts.TESTS
            assert one["status"] in ("read", "recalled")
