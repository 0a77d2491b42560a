"""The page as a browser shows it."""

import random
import shutil
import subprocess

import made
import pytest
from PIL import Image

from benchmarks.evaluated import write_evaluation
from satae.page.writing import write_report

BROWSER = shutil.which("chromium")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--enable-logging=stderr"),
)
LIGHT, DARK = (255, 255, 255), (0x14, 0x17, 0x1B)

pytestmark = [pytest.mark.skipif(not BROWSER, reason="chromium is not installed")]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return write_report([made.sweep(tmp_path_factory.mktemp("browser") / "first")])


def browse(page, folder, *words):
    profile = f"--user-data-dir={folder / 'profile'}"
    called = [BROWSER, *QUIET, profile, *words, page.as_uri()]
    done = subprocess.run(called, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    return done.stdout


@pytest.mark.parametrize(("scheme", "paper"), [("1", LIGHT), ("0", DARK)])
def test_the_page_follows_the_theme(page, tmp_path, scheme, paper):
    shot = tmp_path / "shot.png"
    browse(
        page,
        tmp_path,
        *(f"--blink-settings=preferredColorScheme={scheme}", "--window-size=1200,3000", f"--screenshot={shot}"),
    )
    picture = Image.open(shot).convert("RGB")
    colors = {color for count, color in picture.getcolors(2**24) if count > 200}
    assert picture.getpixel((0, 0)) == paper
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= colors  # the first two lines


def test_the_page_shows_its_figures_and_prints(page, tmp_path):
    shown = browse(page, tmp_path, "--dump-dom")
    assert shown.count("<svg") == 3
    assert shown.count("<img") == 16
    assert "24 runs of 8 configurations" in shown
    browse(page, tmp_path, f"--print-to-pdf={tmp_path / 'page.pdf'}")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_a_narrow_window_scrolls_only_tables_and_figures(tmp_path):
    sweep = made.sweep(tmp_path / "first", acts=["relu"], alphas=[0.0, 1.0], seeds=[0])
    for place in sweep.iterdir():
        write_evaluation(place, 1.0 if "alpha=1" in place.name else 0.0, random.Random(place.name))
    page = write_report([sweep])
    content = page.read_text("utf-8")
    assert content.count("<svg") == 4 + 7
    assert "extension beyond the paper" in content
    shot = tmp_path / "shot.png"
    browse(page, tmp_path, "--window-size=500,8000", f"--screenshot={shot}")
    edge = Image.open(shot).convert("RGB").crop((492, 0, 500, 8000))  # the margin of the page
    assert edge.getcolors() == [(8 * 8000, LIGHT)]
