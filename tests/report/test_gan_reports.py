"""GANs in tables and figures, from tiny runs of the embedded digits and of the ring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure, SubFigure

from lookahead_bench import load_results
from lookahead_bench.cli import command
from lookahead_bench.errors import RunError
from lookahead_bench.report import figures, plotting
from lookahead_bench.report.gan import mnist, ring
from lookahead_bench.report.stats import mean

TINY = ["scale=smoke", "tracker=none"]
METHODS = ("alt_adam", "lookahead_minmax")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of two methods, scored and pictured at 0, 10 and 20 oracle calls."""
    place = tmp_path_factory.mktemp("digits_gan")
    runs = ["dataset=digits_gan", f"optimizer={','.join(METHODS)}", "seed=1,2", "evaluate_every=10oracle_calls"]
    assert command(["-m", *runs, *TINY, f"results_dir={place}"]) == 0
    return place


@pytest.fixture
def frame(store: Path) -> pd.DataFrame:
    """As `figures` hands it to a module."""
    frame = load_results(store)
    return frame.assign(part="methods", directory=f"{store}/runs/" + frame["run_id"])


def markdown(path: Path) -> dict[str, dict[str, str]]:
    """The lines of a table by their optimizer."""
    cells = [[c.strip() for c in line.strip("|\n").split("|")] for line in path.read_text().splitlines() if "|" in line]
    return {line["optimizer"]: line for line in (dict(zip(cells[0], row, strict=True)) for row in cells[2:])}


def texts(figure: Figure | SubFigure) -> list[str]:
    """What is written into the panels."""
    return [text.get_text() for ax in figure.get_axes() for text in (*ax.texts, ax.title)]


def final(frame: pd.DataFrame, optimizer: str, weights: str, metric: str) -> list[float]:
    rows = frame[(frame["optimizer"] == optimizer) & (frame["weights"] == weights) & (frame["split"] == "test")]
    return list(rows.loc[rows["step"] == 20, metric])


def test_the_table_shows_every_kind_of_weights_and_further_scores(store: Path, frame: pd.DataFrame) -> None:
    assert command(["report", f"results_dir={store}"]) == 0
    lines = markdown(store / "report" / "digits_gan-smoke-mlp_gan.md")
    judged = {"alt_adam": "fast", "lookahead_minmax": "slow"}
    for name, line in lines.items():
        assert line["weights"] == judged[name]
        assert line["test fid"].strip("*") == mean(final(frame, name, judged[name], "fid")).cell("fid")
        assert line["of the ema weights"] == mean(final(frame, name, "ema", "fid")).cell("fid")
        for also in ("inception_score", "entropy", "modes"):
            assert line[f"test {also}"] == mean(final(frame, name, judged[name], also)).cell(also)
    assert lines["alt_adam"]["of the fast weights"] == ""
    fast = final(frame, "lookahead_minmax", "fast", "fid")
    assert lines["lookahead_minmax"]["of the fast weights"] == mean(fast).cell("fid")
    assert "of the slow weights" not in lines["alt_adam"]


def test_mnist_shows_the_pictures_of_the_weights_that_are_judged(frame: pd.DataFrame, tmp_path: Path) -> None:
    figure = mnist.draw(frame)
    *strips, fid = figure.get_axes()
    assert [len(ax.images) for ax in strips] == [1] * 4  # two methods, at 10 and 20 oracle calls
    first = Path(frame.loc[(frame["optimizer"] == "lookahead_minmax") & (frame["seed"] == 1), "directory"].iloc[0])
    whole = plotting.plt.imread(first / "samples" / "slow-00000020.png")
    assert (strips[3].images[0].get_array() == whole[: len(whole) // 2, : len(whole) // 2]).all()
    assert [ax.get_title() for ax in strips] == ["10", "20", "", ""]
    score = mean(final(frame, "lookahead_minmax", "slow", "fid")).text("fid")
    assert f"Lookahead-Minmax\nFID {score}" in texts(figure)
    assert [line.get_label() for line in fid.lines] == ["alternating Adam", "Lookahead-Minmax", "real images"]
    assert plotting.save(figure, tmp_path / "gan-mnist").stat().st_size > 10_000


def test_a_picture_that_is_gone_and_a_run_that_diverged_are_told(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.loc[frame["optimizer"] == "alt_adam", "directory"] = str(tmp_path)
    lost = (frame["optimizer"] == "lookahead_minmax") & (frame["seed"] == 1)
    frame.loc[lost, "status"] = "diverged"
    figure = mnist.draw(frame[~lost | (frame["step"] <= 10)])
    assert texts(figure).count("no picture\nkept") == 2
    assert [len(ax.images) for ax in figure.get_axes()[:4]] == [0, 0, 1, 0]
    left = mean(final(frame[frame["seed"] == 2], "lookahead_minmax", "slow", "fid"))
    assert f"Lookahead-Minmax\nFID {left.text('fid')}, 1 diverged" in texts(figure)
    plotting.plt.close(figure)


def test_the_ring_is_run_and_drawn_where_it_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(ring, "draw", lambda frame, real=ring.draw: drawn.append(real(frame)) or drawn[0])
    tiny = [*TINY, f"optimizer={','.join(METHODS)}", "dataset.scored=50", f"results_dir={tmp_path}"]
    assert command(["figures", "gan/ring", *tiny]) == 0
    assert "gan-ring.png .pdf  (66 runs done now" in capsys.readouterr().out
    assert (tmp_path / "figures" / "gan-ring.png").stat().st_size > 10_000
    frame = load_results(tmp_path)
    found = mean(final(frame[frame["seed"] > 0], "lookahead_minmax", "slow", "modes")).text("modes")
    assert f"Lookahead-Minmax\n{found}\nof 8 modes" in texts(drawn[0])
    distances, *pictures = drawn[0].get_axes()
    assert [len(ax.images) for ax in pictures] == [1, 1]
    assert [len(line.get_ydata()) for line in distances.lines] == [32, 32, 2]


def test_without_names_the_theory_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Nothing:
        @classmethod
        def named(cls, name: str, overrides: list[str]) -> Nothing:
            asked.append(name)
            return cls()

        def missing_runs(self) -> None:
            raise RunError("nothing here")

    monkeypatch.setattr(figures, "Study", Nothing)
    for names, expected in (
        ([], [f"theory/{name}" for name in figures.figures() if "/" not in name]),
        (["gan/ring", "theory/games", "games"], ["gan/ring", "theory/games"]),
    ):
        asked.clear()
        with pytest.raises(RunError):
            figures.draw(names, [])
        assert asked == expected


def test_help_tells_the_figures_that_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command(["figures", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "gan/grid, gan/mnist, gan/ring." in words.partition("Only where they are named:")[2]
