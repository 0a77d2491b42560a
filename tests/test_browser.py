"""A sweep in a browser: TensorBoard, and the page of the report."""

import re
import shutil
from importlib.util import find_spec

import pytest
from program import TINY, here
from tensorboard_server import served

from satae.sweeps.tensorboard_sweep import BAND_METRICS

CHROMIUM = shutil.which("chromium")
FLAGS = [
    *["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
    *["--disable-background-networking", "--disable-component-update"],
]
CONFIGURATIONS = 4
TIMEOUT = 60_000  # milliseconds until something is shown
pytestmark = [
    pytest.mark.slow,  # tests/page and tests/sweeps look at the same without a browser for most
    pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium"),
    pytest.mark.skipif(not find_spec("playwright"), reason="needs playwright"),
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page, with what went wrong in it: there must be nothing."""
    page = browser.new_page(viewport={"width": 1500, "height": 950})
    page.set_default_timeout(TIMEOUT)
    wrong = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    page.close()
    assert wrong == []


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    words = [*TINY, "sweep=first", "alpha=0,0.1", "act=relu,tanh", "seed=0,1"]
    assert here(folder, *words).code == 0
    return folder / "outputs" / "first"


@pytest.fixture(scope="module")
def board(sweep):
    """The address of a TensorBoard that shows the sweep."""
    with served(sweep) as tensorboard:
        yield tensorboard.address


def shown(page, *texts):
    for text in texts:
        page.get_by_text(text, exact=True).first.wait_for()


def test_hparams_has_a_row_for_each_configuration_with_its_mean(page, board):
    page.goto(f"{board}/#hparams")
    shown(page, "Trial ID", "act", "alpha", "valid fvu", "saturated", "dead", "sensitivity")
    shown(page, "alpha=0,act=relu", "alpha=0.1,act=tanh")
    page.get_by_text("Parallel Coordinates View").click()
    axes = page.locator("text.axis-title")
    axes.first.wait_for()
    titles = ["act", "alpha", "valid fvu", "saturated", "dead", "sensitivity", "valid total loss"]
    assert axes.all_text_contents() == titles


def test_custom_scalars_have_the_bands_over_seeds(page, board):
    page.goto(f"{board}/#custom_scalars")
    shown(page, "over seeds: mean and 95 % interval", "valid/fvu", "saturated fraction of each layer")
    drawn = page.locator("tf-custom-scalar-margin-chart-card path.area")
    drawn.nth(CONFIGURATIONS * len(BAND_METRICS) - 1).wait_for(state="attached")
    assert drawn.count() == CONFIGURATIONS * len(BAND_METRICS)
    assert page.get_by_text("Missing Tags").count() == 0


def test_runs_are_named_by_what_they_chose(page, board):
    page.goto(f"{board}/#timeseries")
    shown(page, "alpha=0,act=relu,seed=0", "over seeds/alpha=0.1,act=tanh")
    page.goto(f"{board}/#scalars")
    page.reload()
    shown(page, "alpha=0.1,act=tanh,seed=1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_the_report_can_be_read_in_each_theme_and_width(page, sweep, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto((sweep / "report" / "index.html").as_uri())
    assert "8 runs of 4 configurations" in page.inner_text("body")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    told = page.locator("img, [role=img]").evaluate_all("all => all.map(one => one.alt || one.ariaLabel || '')")
    assert len(told) == page.locator("img").count() + page.locator("svg").count() > 3
    assert all(told)
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert (sum(map(int, re.findall(r"\d+", ink)[:3])) < 3 * 128) == (scheme == "light")


@pytest.mark.parametrize("width", [500, 800, 1200])
def test_pictures_of_the_report_keep_their_size_and_tables_scroll(page, sweep, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto((sweep / "report" / "index.html").as_uri())
    assert min(page.locator(".gallery img").evaluate_all("all => all.map(one => one.width / one.naturalWidth)")) > 0.75
    for table in page.locator("table").all():
        last = table.locator("thead th").last
        table.locator("xpath=..").evaluate("box => box.scrollLeft = box.scrollWidth")
        box = last.bounding_box()
        assert box["x"] + box["width"] <= width


def test_the_report_prints(page, sweep):
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 900})  # of A4 within its margins
    page.goto((sweep / "report" / "index.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 688
    assert page.pdf(format="A4").startswith(b"%PDF")
