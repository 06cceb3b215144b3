"""Test the annotation page in a real browser, headless Chromium.

    python scripts/test_page.py [further arguments for node --test]

Chromium is that of $CHROMIUM, or the first on PATH. Without one nothing is tested and a sentence says so, unless
$VOXSEED_REQUIRE_BROWSER is set.
"""

import os
import shutil
import subprocess
import sys

from build_page import ROOT, PageError, build, find_node, install_packages

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def main(arguments: list[str]) -> int:
    """Build the page, run web/tests; the exit status is that of the tests."""
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        print("The page was not tested: no Chromium. Install it (Debian: apt install chromium), or set CHROMIUM.")
        return 1 if os.environ.get("VOXSEED_REQUIRE_BROWSER") else 0
    try:
        install_packages(ROOT, with_test_tools=True)
        build(ROOT)
        node = find_node()[0]
    except PageError as error:
        print(error, file=sys.stderr)
        return 1
    types = subprocess.call([node, str(ROOT / "web" / "node_modules" / "typescript" / "bin" / "tsc")], cwd=ROOT / "web")
    if types != 0:
        return types
    tests = sorted(str(path) for path in (ROOT / "web" / "tests").glob("*.test.mjs"))
    environment = {**os.environ, "CHROMIUM": browser, "VOXSEED_PYTHON": sys.executable}
    return subprocess.call([node, "--test", "--test-concurrency=1", *arguments, *tests], cwd=ROOT, env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
