"""The page is one file that needs nothing else, says what the store says, and works in a real browser."""

from __future__ import annotations

import base64
import json
import math
import re
import shutil
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lookahead_bench.bench.report import fill
from lookahead_bench.cli import command
from lookahead_bench.runs.results import load_runs

METHODS = ("sgd", "lookahead")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods at three rates with three seeds, and pictures of one of them."""
    place = tmp_path_factory.mktemp("store")
    fill(str(place), METHODS, rates=3, seeds=3)
    for run in (place / "runs").glob("digits-lookahead-s1-*"):
        (run / "samples").mkdir()
        for step in (0, 330):
            Image.effect_noise((64, 64), 40).save(run / "samples" / f"slow-{step:08d}.png")
    return place


@pytest.fixture(scope="module")
def page(store: Path) -> Path:
    assert command(["report", f"html={store}/page.html", f"results_dir={store}"]) == 0
    return store / "page.html"


class Parsed(HTMLParser):
    """Counts of tags, every address, the cells of every table, and what stands in JSON."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.cells: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.data = ""
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.inside = "data" if found.get("id") == "lines" else tag
        self.addresses += [str(found[key]) for key in ("src", "href", "action", "data") if key in found]
        if tag == "img":
            self.images.append(found)

    def handle_data(self, data: str) -> None:
        if self.inside == "data":
            self.data += data
        elif self.inside in ("td", "th"):
            self.cells.append(data.strip())

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


def test_the_page_needs_nothing_else(page: Path) -> None:
    found = Parsed(page.read_text())
    assert page.stat().st_size < 2e6
    assert [one for one in found.addresses if not one.startswith(("#", "data:"))] == []
    assert "default-src 'none'" in page.read_text()
    assert not {"link", "iframe", "object", "embed"} & set(found.tags)


def test_the_page_says_what_the_store_says(page: Path, store: Path) -> None:
    runs, found = load_runs(store), Parsed(page.read_text())
    assert set(runs["run_id"]) <= set(found.cells)
    figures = json.loads(found.data)
    assert list(figures) == ["digits-cpu-mlp-curves", "digits-cpu-mlp-0-over-lr"]
    curves, over_lr = figures.values()
    assert {"oracle_calls", "step", "samples", "seconds"} == set(curves["axes"])
    kinds = ("accuracy in %", "loss")
    assert curves["views"] == [f"{split} {kind}" for kind in kinds for split in ("val", "test", "train")]
    for label, line in zip(curves["labels"], curves["lines"], strict=True):
        name, rate = re.match(r"(\w+) lr=(\S+)", label).groups()  # type: ignore[union-attr]
        mine = runs[(runs["optimizer"] == name) & (runs["optimizer.lr"] == float(rate))]
        column = f"final.test.{'slow' if name == 'lookahead' else 'fast'}"
        end = {key: points[-1] for key, points in line["test accuracy in %"].items()}
        expected = {key: 100 * mine[f"{column}.accuracy"].agg(how) for key, how in AGGREGATES.items()}
        costs = {"step": 330, "oracle_calls": 330, "samples": 10560, "seconds": 1.5}
        assert end == pytest.approx(expected | costs, rel=1e-4)
        assert end["low"] < end["mean"] < end["high"]
    for label, line in zip(over_lr["labels"], over_lr["lines"], strict=True):
        mine = runs[runs["optimizer"] == label].groupby("optimizer.lr")["best.value"].mean()
        (points,) = line.values()
        assert points["lr"] == pytest.approx(list(mine.index), rel=1e-4)
        assert points["mean"] == pytest.approx(list(100 * mine), rel=1e-4)


AGGREGATES = {"mean": "mean", "low": "min", "high": "max"}


def test_pictures_are_in_the_page(page: Path) -> None:
    images = Parsed(page.read_text()).images
    assert [one["alt"].rpartition(" at ")[2] for one in images] == ["step 0", "step 330"]  # type: ignore[union-attr]
    for one in images:
        assert base64.b64decode(str(one["src"]).partition(",")[2]).startswith(b"\x89PNG")


def test_words_of_the_store_are_no_code(tmp_path: Path) -> None:
    fill(str(tmp_path), ("sgd",), rates=1, seeds=1)
    (record,) = tmp_path.glob("runs/*/run.json")
    content = json.loads(record.read_text()) | {"command_line": "</script><script>alert(1)</script>"}
    record.write_text(json.dumps(content))
    assert command(["report", f"html={tmp_path}/page.html", f"results_dir={tmp_path}"]) == 0
    text = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


@pytest.mark.parametrize("record", ["{}", '{"status": "failed", "error": "no", "studies": ["a"]}'])
def test_runs_without_a_result_have_a_page_too(record: str, tmp_path: Path) -> None:
    fill(str(tmp_path), ("sgd",), rates=1, seeds=1)
    (run,) = tmp_path.glob("runs/*")
    (run / "run.json").write_text(record)
    (run / "metrics.jsonl").unlink()
    assert command(["report", f"html={tmp_path}/page.html", f"results_dir={tmp_path}"]) == 0
    assert run.name in Parsed((tmp_path / "page.html").read_text()).cells


def test_there_is_a_place_for_the_page(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in (store, store / "none" / "page.html"):
        assert command(["report", f"html={file}", f"results_dir={store}"]) == 2
        assert capsys.readouterr().err == f"lookahead-bench: html={file}: names no file in a directory that exists\n"
    for choice in ("format=md", "all=true"):
        assert command(["report", f"html={store}/no.html", choice, f"results_dir={store}"]) == 2
        assert capsys.readouterr().err.startswith(f"lookahead-bench: {choice}: html= has no such choice")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a screen, and without a network: no name resolves."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs chromium and chromedriver (apt-get install chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.mark.parametrize("width", [1200, 390])
def test_in_a_browser(width: int, browser: Any, page: Path) -> None:
    screen = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(page.as_uri())
    end = time.monotonic() + 30
    while not browser.execute_script("return document.body.dataset.ready"):
        assert time.monotonic() < end, browser.get_log("browser")
        time.sleep(0.05)
    said = [one for one in browser.get_log("browser") if one["level"] in ("WARNING", "SEVERE")]
    assert said == []
    asked = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in asked if one["method"] == "Network.requestWillBeSent"]
    assert {url for url in urls if not url.startswith("data:")} == {page.as_uri()}
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    plot = "Bokeh.documents[0].get_model_by_name('digits-cpu-mlp-curves')"

    def pixels() -> str:
        return str(browser.find_element("id", "digits-cpu-mlp-curves").screenshot_as_base64)

    def drawn(script: str) -> Any:
        return browser.execute_script(f"const plot = {plot}; return {script}")

    hidden = "plot.renderers.filter(r => !r.visible).map(r => r.tags[0])"
    assert set(drawn(hidden)) == set(range(2, 6))  # all but the two that validation chose
    before = pixels()
    browser.find_element("css selector", "#digits-cpu-mlp-curves [data-line='0']").click()
    assert drawn(hidden).count(0) == 3
    assert pixels() != before
    browser.find_element("css selector", "#digits-cpu-mlp-curves option[value=samples]").click()
    assert drawn("plot.below[0].axis_label") == "samples"
    assert drawn("Math.max(...plot.renderers[0].data_source.data.x)") == 10560
    assert drawn("plot.x_range.end") > 10560
    assert drawn("plot.renderers[0].data_source.data.size.filter(s => s).length") >= 8

    def column() -> list[float]:
        cells = browser.find_elements("css selector", "#digits-cpu-mlp table tbody tr td:nth-child(3)")
        return [float(re.match(r"[\d.]*", cell.text)[0] or math.nan) for cell in cells[:8]]  # type: ignore[index]

    head = browser.find_element("css selector", "#digits-cpu-mlp thead th:nth-child(3) button")
    for order in ("ascending", "descending"):
        head.click()
        assert head.find_element("xpath", "..").get_attribute("aria-sort") == order
        assert column() == sorted(column(), reverse=order == "descending")
