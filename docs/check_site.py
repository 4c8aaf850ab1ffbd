"""Open every page of the built site in a headless browser; fail on whatever a reader would stumble over.

    python docs/check_site.py                            # docs/_build/html
    python docs/check_site.py --pictures FOLDER          # and keep pictures of some pages

Looked for: errors on the console, requests that fail or leave this machine, links and images of the site that lead
nowhere, and pages wider than a phone. The site should be built anew: Sphinx keeps links into source code that has
changed since. Needs selenium (extra ``docs``), Chromium and its driver (Debian: ``apt-get install chromium
chromium-driver``).
"""

from __future__ import annotations

import argparse
import http.server
import json
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

SITE = Path(__file__).resolve().parent / "_build" / "html"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars",
)  # fmt: skip
PHONE, DESK = (400, 800), (1280, 900)
PICTURED = ("index", "tutorial/first_map", "how_to/own_sentinel1", "how_to/index", "gallery/index",
            "reference/api", "reference/generated/sklandslide.LandslideMap", "explanations/spatial_folds")  # fmt: skip
# What the page itself sees: where its links lead, which images are broken, how wide it is.
LOOK = """
return {
  links: [...document.querySelectorAll('a[href]')].map(a => a.href),
  broken: [...document.images].filter(i => !(i.complete && i.naturalWidth)).map(i => i.src),
  noAlt: [...document.querySelectorAll('article img:not([alt])')].map(i => i.src),
  ids: [...document.querySelectorAll('[id]')].map(e => e.id),
  title: document.title,
}
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def served(folder: Path) -> tuple[http.server.ThreadingHTTPServer, str]:
    """Serve the site on this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}/"


def browser(profile: str, driver: str, binary: str | None):
    """A headless Chromium that records its console and its requests."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    if binary:
        options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver))


def screen(driver, size: tuple[int, int]) -> None:
    """Take a screen of this size; a window cannot be as narrow as a phone."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def faults_of_requests(driver, site: str) -> list[str]:
    """Requests since the last call that failed, or that left this machine, and what the console complains of."""
    faults, addresses = [], {}
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        what, about = message["method"], message["params"]
        if what == "Network.requestWillBeSent":
            address = about["request"]["url"]
            addresses[about["requestId"]] = address
            if not address.startswith((site, "data:", "blob:", "chrome", "about:")):
                faults.append(f"asks {address}")
        elif what == "Network.responseReceived" and about["response"]["status"] >= 400:
            faults.append(f"{about['response']['status']} for {about['response']['url']}")
        elif what == "Network.loadingFailed" and not about.get("canceled") and about["requestId"] in addresses:
            faults.append(f"{about['errorText']} for {addresses[about['requestId']]}")
    for entry in driver.get_log("browser"):
        if entry["level"] in ("SEVERE", "WARNING"):
            faults.append(f"console: {entry['message']}")
    return faults


def check(folder: Path, driver, site: str) -> dict[str, list[str]]:
    """Faults of each page."""
    pages = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*.html") if "_static" not in path.parts
    )
    faults: dict[str, list[str]] = {page: [] for page in pages}
    ids, links = {}, {}
    for page in pages:
        screen(driver, DESK)
        driver.get(site + page)
        seen = driver.execute_script(LOOK)
        ids[page], links[page] = set(seen["ids"]), seen["links"]
        faults[page] += [f"broken image {address}" for address in seen["broken"]]
        faults[page] += [f"image without words {address}" for address in seen["noAlt"]]
        faults[page] += [] if seen["title"] else ["no title"]
        screen(driver, PHONE)
        width = driver.execute_script("return document.documentElement.scrollWidth")
        faults[page] += [f"{width} pixels wide on a screen of {PHONE[0]}"] if width > PHONE[0] + 1 else []
        faults[page] += faults_of_requests(driver, site)
    for page, addresses in links.items():
        for address in dict.fromkeys(addresses):
            if address.startswith(site):
                faults[page] += dead(address, folder, ids)
    return {page: found for page, found in faults.items() if found}


def dead(address: str, folder: Path, ids: dict[str, set[str]]) -> list[str]:
    """Why a link within the site leads nowhere, if it does."""
    place, anchor = urldefrag(address)
    path = unquote(urlsplit(place).path).lstrip("/") or "index.html"
    if not (folder / path).is_file():
        return [f"dead link {address}"]
    if anchor and path in ids and unquote(anchor) not in ids[path]:
        return [f"no place #{anchor} in {path}"]
    return []


def keep_pictures(driver, site: str, folder: Path) -> None:
    """Pictures of some pages: wide, narrow, dark."""
    folder.mkdir(parents=True, exist_ok=True)
    for page in PICTURED:
        for name, size, mode in (("wide", DESK, "light"), ("narrow", PHONE, "light"), ("dark", DESK, "dark")):
            screen(driver, size)
            driver.get(f"{site}{page}.html")
            driver.execute_script(
                "document.documentElement.dataset.theme = document.documentElement.dataset.mode = arguments[0]", mode
            )
            driver.save_screenshot(str(folder / f"{page.replace('/', '_')}-{name}.png"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", nargs="?", type=Path, default=SITE)
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    parser.add_argument("--driver", default="/usr/bin/chromedriver")
    parser.add_argument("--browser", default=None, help="Chromium, where the driver does not find it")
    options = parser.parse_args()
    if not (options.site / "index.html").is_file():
        parser.error(f"{options.site} holds no built site. Build it: python -m sphinx -W -b html docs {options.site}")
    server, site = served(options.site)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        driver = browser(profile, options.driver, options.browser)
        try:
            faults = check(options.site, driver, site)
            if options.pictures:
                keep_pictures(driver, site, options.pictures)
        finally:
            driver.quit()
            server.shutdown()
    for page, found in faults.items():
        print(page, *dict.fromkeys(found), sep="\n    ")
    pages = len(list(options.site.rglob("*.html")))
    print(f"{pages} pages, {len(faults)} with faults" if faults else f"{pages} pages, no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
