"""Pictures of every page at two widths, light and dark: `make screenshots`."""

import sys
import tempfile
from pathlib import Path

from tests.browser.chromium import chromium
from tests.browser.company import company_in
from tests.browser.pages import PAGES

_WIDTHS = (360, 1920)


def main(folder: Path, wanted: set[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        company_in(Path(data)) as company,
        chromium() as browser,
    ):
        for theme in ("light", "dark"):
            for width in _WIDTHS:
                for shown in PAGES:
                    if wanted and shown.name not in wanted:
                        continue
                    context = browser.new_context(
                        base_url=company.url,
                        color_scheme=theme,  # type: ignore[arg-type]
                        viewport={"width": width, "height": 900},
                    )
                    if shown.who != "stranger":
                        company.sign_in(context, shown.who_in(company))
                    page = context.new_page()
                    page.goto(shown.path_in(company))
                    # Charts and lists that come after the page.
                    page.wait_for_timeout(600)
                    name = f"{shown.name}-{width}-{theme}.png"
                    page.screenshot(path=folder / name, full_page=True)
                    print(folder / name, flush=True)
                    context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), set(sys.argv[2:]))
