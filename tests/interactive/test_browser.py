# SPDX-License-Identifier: MIT
"""JupyterLab in a real browser: the tour, its progress bar, pictures and widget."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TOKEN = "0123456789abcdef"
PATIENCE = 300


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Return the address of a JupyterLab with the notebooks."""
    pytest.importorskip("jupyterlab", reason="the extra notebook is not installed")
    if not Path(sys.executable).with_name("mpirun").exists():
        pytest.skip("no mpirun beside this Python: install the extra mpich")
    folder = tmp_path_factory.mktemp("lab")
    for notebook in (ROOT / "launch" / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, folder)
    # cells that are not in view must be in the page too
    settings = folder / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(
        json.dumps({"windowingMode": "none"})
    )
    news = folder / "settings" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text(
        json.dumps({"fetchNews": "false"})
    )
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    paths = os.environ.get("PYTHONPATH")
    environ = {
        **os.environ,
        "JUPYTER_TOKEN": TOKEN,
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{paths}" if paths else str(ROOT),
    }
    options = ["--no-browser", "--allow-root", "--expose-app-in-browser"]
    options += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    until = time.monotonic() + 120
    while time.monotonic() < until:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert server.poll() is None, (folder / "lab.log").read_text()
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    try:
        server.wait(60)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@pytest.fixture
def browser(tmp_path):
    """Return a headless Chromium."""
    selenium = pytest.importorskip("selenium.webdriver")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no chromium and chromedriver: Debian's chromium, chromium-driver")
    options = selenium.ChromeOptions()
    options.binary_location = program
    for option in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1300,1000"),
        *("--disable-dev-shm-usage", f"--user-data-dir={tmp_path}/profile"),
    ):
        options.add_argument(option)
    service = selenium.ChromeService(executable_path=driver)
    found = selenium.Chrome(options=options, service=service)
    found.set_script_timeout(PATIENCE)
    yield found
    found.quit()


def wait_for(browser, selector, count=1, patience=PATIENCE):
    """Return the elements that a selector finds, once there are enough of them."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        found = browser.find_elements("css selector", selector)
        if len(found) >= count:
            return found
        time.sleep(0.2)
    errors = browser.find_elements("css selector", "[data-mime-type*=stderr]")
    raise AssertionError(
        f"no {count} x {selector}: {[error.text[-2000:] for error in errors]}"
    )


@pytest.mark.medium
@pytest.mark.timeout(1500)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_tour_runs_in_a_browser(lab, browser, tmp_path):
    shots = Path(os.environ.get("HPCAPP_TEST_ARTEFACTS", tmp_path))
    browser.get(f"{lab}/lab/tree/tour.ipynb?token={TOKEN}")
    wait_for(browser, ".jp-Notebook .jp-CodeCell", 10)
    # cells that are run before there is a kernel are left out without a word
    ready = (
        "const page = window.jupyterapp?.shell.currentWidget;"
        "return page?.sessionContext?.session?.kernel?.status ?? 'none'"
    )
    until, status = time.monotonic() + PATIENCE, ""
    while status != "idle" and time.monotonic() < until:
        time.sleep(0.2)
        status = browser.execute_script(ready)
    browser.save_screenshot(str(shots / "start.png"))
    assert status == "idle"
    browser.execute_script(
        "window.jupyterapp.commands.execute('notebook:run-all-cells')"
    )
    plan = wait_for(browser, "table.hpcapp-plan")[0]
    assert "process grid" in plan.text
    assert wait_for(browser, "svg.hpcapp-layout rect", 2)
    wait_for(browser, ".hpcapp-bar")
    wait_for(browser, "svg.hpcapp-curve polyline")
    wait_for(browser, '.jp-OutputArea img[src^="data:image/png"]')
    # what shows a run is replaced again and again
    browser.execute_script(
        "document.querySelector('.hpcapp-bar').scrollIntoView({block: 'center'})"
    )
    time.sleep(1)
    browser.save_screenshot(str(shots / "run.png"))
    picture = wait_for(browser, 'img.hpcapp-explorer[data-frames="1"]')[0]
    before = picture.get_attribute("src")
    # the cells below it must have ended for the kernel to hear of a click
    wait_for(browser, '.jp-OutputArea img[src^="data:image/png"]', 3)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", picture)
    time.sleep(1)
    selenium = pytest.importorskip("selenium.webdriver")
    selenium.ActionChains(browser).move_to_element_with_offset(
        picture, -60, 30
    ).click().perform()
    picture = wait_for(browser, 'img.hpcapp-explorer[data-frames="2"]')[0]
    assert picture.get_attribute("src") != before
    line = wait_for(browser, ".hpcapp-explorer-line")[0].text
    # half of the width of before
    assert "width 1.5, 1000 iterations" in line
    # 60 pixels left of the middle of 400, and 30 below it, go half of the way there
    re, im = map(float, line.removeprefix("center ").partition("i")[0].split())
    step = 3.0 / 400
    assert re == pytest.approx(-0.5 - 30 * step, abs=2 * step)
    assert im == pytest.approx(-15 * step, abs=2 * step)
    browser.save_screenshot(str(shots / "explorer.png"))
    # every cell has run, and none has failed
    prompts = wait_for(browser, ".jp-Notebook .jp-CodeCell .jp-InputPrompt")
    shown = [prompt.text for prompt in prompts]
    assert shown == [f"[{number}]:" for number in range(1, len(shown) + 1)]
    assert not browser.find_elements(
        "css selector", '[data-mime-type="application/vnd.jupyter.error"]'
    )
