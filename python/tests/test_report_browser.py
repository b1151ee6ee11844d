"""The page in a browser: Debian's chromium, without a window."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cellmill as cm
from peers import peer
from report_runs import PLOTS, run

peer("anndata")
peer("plotly")
webdriver = peer("selenium.webdriver")

#: Of a plot: how many marks plotly drew in it.
MARKS = """return Array.from(document.querySelectorAll('.plot'), (plot) => [plot.id, plot.getAttribute('aria-label'),
  plot.querySelectorAll('.main-svg .point, .main-svg path.js-line, .main-svg image').length])"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        message = "chromium or chromedriver is not installed"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1100,1000")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


def opened(browser: Any, page: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(page.as_uri())
    told = "return document.documentElement.dataset.drawn || !document.getElementById('trouble').hidden"
    WebDriverWait(browser, 120).until(lambda _: browser.execute_script(told))


def requests(browser: Any) -> set[str]:
    """Addresses that were asked for since the last call, but what lies in the page itself."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return {url for url in urls if not url.startswith(("data:", "blob:"))}


def choose(browser: Any, control: str, text: str) -> None:
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element("id", control)).select_by_visible_text(text)


def troubles(browser: Any) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


@pytest.fixture(scope="module")
def page(plates: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    cm.report(run(plates, folder / "pca.zarr"), folder / "report.html", cells=500)
    return folder / "report.html"


def test_everything_is_drawn_without_a_network(browser: Any, page: Path) -> None:
    opened(browser, page)
    drawn = browser.execute_script(MARKS)
    assert {plot for plot, _, _ in drawn} == {*PLOTS, "chosen-by"}
    for plot, text, marks in drawn:
        assert marks > 0, plot
        assert len(text) > 20, plot
    assert requests(browser) == {page.as_uri()}
    assert troubles(browser) == []
    width = browser.execute_script("return document.documentElement.scrollWidth")
    assert width <= browser.execute_script("return window.innerWidth")


def test_controls_redraw(browser: Any, page: Path) -> None:
    opened(browser, page)
    title = "return document.querySelector('#density-plot .xtitle').textContent"
    assert browser.execute_script(title).startswith("PC1 ")
    options = browser.execute_script("return Array.from(document.getElementById('pc-x').options, (o) => o.text)")
    assert len(options) == 12
    choose(browser, "pc-x", options[2])
    assert browser.execute_script(title).startswith("PC3 ")
    assert "all 1,400 cells" in browser.find_element("id", "density-note").text
    choose(browser, "pc-y", options[11])
    assert "drawn at random" in browser.find_element("id", "density-note").text
    legend = "return Array.from(document.querySelectorAll('#colour-plot .legendtext'), (e) => e.textContent)"
    assert browser.execute_script(legend) == ["plate1", "plate2"]
    assert "500 cells" in browser.find_element("id", "colour-plot").get_attribute("aria-label")
    choose(browser, "cell-colour", "cell_line")
    assert len(browser.execute_script(legend)) == 8
    choose(browser, "cell-colour", "gene_count")
    assert browser.execute_script("return document.querySelectorAll('#colour-plot .colorbar').length") == 1
    choose(browser, "gene-view", "plate2")
    assert browser.find_element("id", "gene-note").text.startswith("Plate2: ")
    choose(browser, "gene-measure", "dispersion")
    assert browser.execute_script("return document.querySelector('#gene-plot .ytitle').textContent") == "dispersion"
    choose(browser, "time-pass", "eigenvectors")
    assert browser.find_element("id", "time-plot").get_attribute("aria-label").count("eigenvectors") == 1
    assert requests(browser) == {page.as_uri()}
    assert troubles(browser) == []


def test_controls_and_tables_are_reached_by_keyboard(browser: Any, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    opened(browser, page)
    reached = []
    for _ in range(40):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        active = browser.switch_to.active_element
        reached.append(active.get_attribute("id") or active.tag_name)
        if active.get_attribute("id") == "gene-view" and reached.count("gene-view") == 1:
            active.send_keys(Keys.ARROW_DOWN)
    assert {"gene-view", "gene-measure", "pc-x", "pc-y", "cell-colour", "time-pass", "summary"} <= set(reached)
    assert browser.find_element("id", "gene-note").text.startswith("Plate1: ")


@pytest.mark.parametrize("taken", ["uns", "obsm/X_pca", "uns/pca"])
def test_a_page_with_less_in_it(browser: Any, plates: list[str], tmp_path: Path, taken: str) -> None:
    output = run(plates[:1], tmp_path / "one.h5ad")
    with peer("h5py").File(output, "r+") as file:
        del file[taken]
    cm.report(output, tmp_path / "report.html")
    opened(browser, tmp_path / "report.html")
    assert troubles(browser) == []
    assert all(marks > 0 for _, _, marks in browser.execute_script(MARKS))


def test_a_hundred_plates_have_names_that_do_not_overlap(
    browser: Any, plates: list[str], tmp_path: Path
) -> None:
    (tmp_path / "plates").mkdir()
    for number in range(100):
        (tmp_path / "plates" / f"Tahoe_plate_{number + 1}.h5ad").hardlink_to(plates[number % 2])
    output = run([str(tmp_path / "plates")], tmp_path / "many.h5ad")
    cm.report(output, tmp_path / "report.html")
    opened(browser, tmp_path / "report.html")
    assert troubles(browser) == []
    ticks = "return Array.from(document.querySelectorAll('#cells-per-plate .xtick text'), (tick) => tick.textContent)"
    named = browser.execute_script(ticks)
    assert named == [f"Tahoe_plate_{number}" for number in range(1, 101, 5)]
    places = browser.execute_script(ticks.replace("tick.textContent", "tick.getBoundingClientRect().x"))
    assert all(after - before > 10 for before, after in itertools.pairwise(places))
