"""Watching a service in a browser: its health, metrics, logs, and its files."""

import json
import re
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.chromium import Watched
from tests.browser.company import Company
from tests.monitoring.workers import until

MARA = "mara@brightquay.example"
SHOP = "Payment Gateway"


def open_tab(page: Page, company: Company, tab: str, service: str = SHOP) -> dict[str, Any]:
    found = company.service(service)
    page.goto(f"/services/{found['serviceId']}/{tab}")
    return found


def log(company: Company, service: dict[str, Any], *entries: dict[str, Any]) -> None:
    sent = {"entries": list(entries)}
    answer = company.server.post(f"/api/services/{service['id']}/logs", sent, company.token(MARA))
    assert answer.data["rejected"] == []


class TestHealth:
    def test_a_check_now_changes_the_page_without_a_reload(
        self, mara: Watched, company: Company
    ) -> None:
        page = mara.page()
        service = company.service("Visitor Statistics")
        page.goto(f"/services/{service['serviceId']}/health")
        page.evaluate("window.isTheSame = true")
        page.get_by_role("button", name="Check now").click()
        # Its address ends in .example, which no name server knows.
        expect(page.locator(".toast")).to_contain_text("Checked: unhealthy")
        expect(page.locator("#health-now .verdict")).to_have_text("unhealthy")
        expect(page.locator("#health-changes li").first).to_contain_text("No connection")
        assert page.evaluate("window.isTheSame")

    def test_uptime_can_be_saved(self, mara: Watched, company: Company) -> None:
        page = mara.page()
        open_tab(page, company, "health")
        with page.expect_download() as saving:
            page.locator("#health-months").get_by_role("link", name="CSV").first.click()
        assert saving.value.suggested_filename == "uptime.csv"
        lines = saving.value.path().read_text().splitlines()
        assert lines[0] == "serviceId,status,from,to,seconds,percent"


class TestMetrics:
    @pytest.fixture
    def page(self, mara: Watched, company: Company) -> Page:
        page = mara.page()
        open_tab(page, company, "metrics")
        expect(page.locator(".uplot")).to_have_count(6)
        return page

    def figure(self, page: Page, name: str) -> Locator:
        return page.locator(f'figure[data-metric="{name}"]')

    def span(self, page: Page) -> list[float]:
        """The seconds that all charts show."""
        scales = page.evaluate(
            "[...document.querySelector('metric-chart').plots]"
            ".map(({ uplot }) => [uplot.scales.x.min, uplot.scales.x.max])"
        )
        assert all(each == scales[0] for each in scales)
        found: list[float] = scales[0]
        return found

    def test_the_values_at_the_cursor_are_told(self, page: Page) -> None:
        figure = self.figure(page, "responseTime")
        reading = figure.locator(".reading")
        assert re.search(r"\d+ \w+, \d\d:\d\d\s+average [\d.,]+ ms", reading.inner_text())
        newest = reading.locator("time").inner_text()
        figure.locator(".u-over").hover(position={"x": 90, "y": 40})
        expect(reading.locator("time")).not_to_have_text(newest)
        # The same moment in each of the others.
        time = reading.locator("time").inner_text()
        expect(self.figure(page, "cpu").locator(".reading time")).to_have_text(time)

    def test_dragging_zooms_all_charts_and_a_button_shows_all_again(self, page: Page) -> None:
        first, last = self.span(page)
        box = self.figure(page, "requests").locator(".u-over").bounding_box()
        assert box
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60, steps=4)
        page.mouse.up()
        start, end = self.span(page)
        assert start - first == pytest.approx((last - first) / 4, rel=0.05)
        assert end - start == pytest.approx((last - first) / 4, rel=0.05)
        page.get_by_role("button", name="Show all").click()
        assert self.span(page) == [first, last]

    def test_the_keyboard_zooms_and_reads(self, page: Page) -> None:
        first, last = self.span(page)
        zoom_in = page.get_by_role("button", name="Zoom in")
        zoom_in.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        start, end = self.span(page)
        assert end - start == pytest.approx((last - first) / 4)
        page.get_by_role("button", name="Earlier").press("Enter")
        assert self.span(page)[0] < start
        chart = self.figure(page, "cpu").locator(".canvas")
        reading = self.figure(page, "cpu").locator(".reading")
        time = reading.locator("time")
        chart.focus()
        page.keyboard.press("End")
        newest = time.inner_text()
        page.keyboard.press("ArrowLeft")
        expect(time).not_to_have_text(newest)
        expect(reading).to_have_attribute("aria-live", "polite")
        page.keyboard.press("ArrowRight")
        expect(time).to_have_text(newest)

    def test_a_timeframe_is_a_link_that_reloads_nothing(self, page: Page) -> None:
        page.evaluate("window.isTheSame = true")
        page.get_by_role("link", name="7d").click()
        expect(page.locator('.timeframes [aria-current="true"]')).to_have_text("7d")
        expect(page.locator(".uplot")).to_have_count(6)
        first, last = self.span(page)
        assert last - first == pytest.approx(7 * 24 * 3600, abs=120)
        assert page.evaluate("window.isTheSame")

    def test_charts_follow_the_window_and_the_theme(self, page: Page) -> None:
        width = "document.querySelector('.uplot canvas').width"
        ink = "document.querySelector('metric-chart').plots[0].uplot.series[1]._stroke"
        wide, light = page.evaluate(width), page.evaluate(ink)
        page.set_viewport_size({"width": 360, "height": 800})
        until(lambda: page.evaluate(width) != wide)
        page.emulate_media(color_scheme="dark")
        until(lambda: page.evaluate(ink) != light)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360

    def test_what_fails_is_told_with_its_request_and_tried_again(
        self, mara: Watched, company: Company, page: Page
    ) -> None:
        mara.expect_status(400)
        element = page.locator("metric-chart")
        good = element.get_attribute("src")
        element.evaluate(
            "each => { each.setAttribute('src', each.getAttribute('src') + 'x'); each.load(); }"
        )
        problem = page.locator("[data-problem-box]")
        expect(problem).to_be_visible()
        expect(problem.locator("code")).to_have_text(re.compile(r"[0-9a-f-]{16,}"))
        # What was drawn stays meanwhile.
        expect(page.locator(".uplot")).to_have_count(6)
        element.evaluate("(each, src) => each.setAttribute('src', src)", good)
        page.get_by_role("button", name="Try again").click()
        expect(problem).to_be_hidden()

    def test_new_metrics_appear_by_themselves(self, mara: Watched, company: Company) -> None:
        page = mara.page()
        service = open_tab(page, company, "metrics", "Build Runner")
        expect(page.get_by_text("No metrics in this time")).to_be_visible()
        path, token = f"/api/services/{service['id']}/metrics", company.token(MARA)
        company.server.post(path, {"samples": [{"name": "jobs", "value": 3}]}, token)
        page.locator("metric-chart").evaluate("each => each.refresh()")
        expect(self.figure(page, "jobs").locator(".uplot")).to_have_count(1)
        company.server.post(path, {"samples": [{"name": "jobs", "value": 9}]}, token)
        page.locator("metric-chart").evaluate("each => each.refresh()")
        expect(page.locator("#metric-numbers")).to_contain_text("9")

    def test_percentiles_of_a_histogram_are_lines_of_their_own(
        self, mara: Watched, company: Company
    ) -> None:
        service = company.service("Visitor Statistics")
        given = {"name": "collector"}
        path = f"/api/services/{service['id']}/ingest-tokens"
        token = company.server.post(path, given, company.token(MARA)).data["token"]
        nanoseconds = str(int(datetime.now(UTC).timestamp() * 1e9))
        point = {"timeUnixNano": nanoseconds, "startTimeUnixNano": nanoseconds, "count": "100"} | {
            "sum": 30,
            "bucketCounts": ["90", "9", "1"],
            "explicitBounds": [0.1, 1],
        }
        metric = {
            "name": "queue.wait",
            "histogram": {"aggregationTemporality": 1, "dataPoints": [point]},
        }
        document = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
        answer = company.server.post("/v1/metrics", document, token)
        assert answer.status == 200
        page = mara.page()
        page.goto(f"/services/{service['serviceId']}/metrics?timeframe=1h")
        keys = self.figure(page, "queue.wait").locator(".key:visible")
        expect(keys).to_have_count(4)
        expect(keys.nth(1)).to_have_text(re.compile(r"p50 0\.\d+"))
        expect(keys.nth(3)).to_have_text(re.compile(r"p99 [\d.]+"))


class TestLogs:
    def test_new_entries_appear_where_they_belong(self, mara: Watched, company: Company) -> None:
        page = mara.page()
        service = open_tab(page, company, "logs")
        expect(page.locator(".follow")).to_have_text("Live")
        lines = page.locator(".entries > li")
        an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        log(company, service, {"level": "error", "message": "<img src=x onerror=alert(1)> lost"})
        expect(lines.first).to_contain_text("<img src=x onerror=alert(1)> lost")
        expect(lines.first).to_have_class(re.compile("error"))
        log(
            company,
            service,
            {"level": "info", "message": "late", "timestamp": an_hour_ago},
            {"level": "warn", "message": "newest", "attributes": {"http": {"status": 504}},
             "traceId": "abc1"},
        )  # fmt: skip
        expect(lines.first).to_contain_text("newest")
        expect(lines.nth(1)).to_contain_text("lost")
        late = page.locator(".entries > li.arrived", has_text="late")
        expect(late).to_have_count(1)
        times = [each.get_attribute("data-at") for each in lines.all()]
        assert times == sorted(times, reverse=True)
        first = lines.first.locator("summary")
        first.focus()
        page.keyboard.press("Enter")
        expect(lines.first.locator("dl")).to_contain_text("504")
        page.keyboard.press("ArrowDown")
        expect(lines.nth(1).locator("summary")).to_be_focused()
        lines.first.get_by_role("link", name="http.status 504").click()
        expect(lines).to_have_count(1)
        expect(page).to_have_url(re.compile("attribute=http.status%3A504"))

    def test_a_search_is_marked_and_narrows_what_appears(
        self, mara: Watched, company: Company
    ) -> None:
        page = mara.page()
        service = open_tab(page, company, "logs", "Product Search")
        log(company, service, {"level": "info", "message": "Rebuilt the Zebra index (zebra<b>)"})
        page.get_by_role("searchbox", name="Search").fill('zebra -"old index"')
        page.get_by_role("searchbox", name="Search").press("Enter")
        lines = page.locator(".entries > li")
        expect(lines).to_have_count(1)
        expect(lines.first.locator(".message mark")).to_have_text(["Zebra", "zebra"])
        expect(page.locator(".follow")).to_have_text("Live")
        log(
            company,
            service,
            {"level": "info", "message": "a horse"},
            {"level": "info", "message": "zebra of an old index"},
            {"level": "info", "message": "zebras ahead"},
        )
        expect(lines).to_have_count(2)
        expect(lines.first.locator(".message")).to_have_text("zebras ahead")
        expect(lines.first.locator(".message mark")).to_have_text("zebra")

    def test_a_pause_keeps_what_comes_for_later(self, mara: Watched, company: Company) -> None:
        page = mara.page()
        service = open_tab(page, company, "logs", "Order Store")
        expect(page.locator(".follow")).to_have_text("Live")
        lines = page.locator(".entries > li")
        before = lines.first.inner_text()
        page.get_by_role("button", name="Pause").click()
        log(company, service, *({"level": "info", "message": f"held {n}"} for n in range(3)))
        resume = page.get_by_role("button", name="Resume")
        expect(resume).to_contain_text("(3)")
        expect(page.locator(".follow")).to_have_text("Paused")
        assert lines.first.inner_text() == before
        resume.click()
        expect(lines.first).to_contain_text("held 2")
        expect(page.locator(".follow")).to_have_text("Live")

    def test_a_lost_stream_is_said_and_what_was_missed_is_caught_up(
        self, mara: Watched, company: Company
    ) -> None:
        page = mara.page()
        service = open_tab(page, company, "logs", "Product Search")
        state = page.locator(".follow")
        expect(state).to_have_text("Live")
        mara.expected += ("net::ERR_INTERNET_DISCONNECTED", "Failed to load resource")
        mara.context.set_offline(True)
        page.locator("log-tail").evaluate("each => each.open()")
        expect(state).to_contain_text("lost")
        log(company, service, {"level": "info", "message": "while away"})
        mara.context.set_offline(False)
        expect(page.locator(".entries > li").first).to_contain_text("while away")
        expect(state).to_have_text("Live")

    def test_no_more_lines_are_held_than_a_browser_likes(
        self, mara: Watched, company: Company
    ) -> None:
        page = mara.page()
        service = open_tab(page, company, "logs", "Storefront API")
        expect(page.locator(".follow")).to_have_text("Live")
        page.evaluate("scrollTo(0, 1500)")
        for batch in range(3):
            lines = ({"level": "info", "message": f"line {batch}.{n}"} for n in range(400))
            log(company, service, *lines)
        fresh = page.locator("[data-fresh]")
        expect(fresh).to_be_visible()
        expect(page.locator(".entries .message").first).to_have_text("line 2.399")
        assert page.locator(".entries > li").count() == 1000
        fresh.click()
        expect(fresh).to_be_hidden()
        expect(page.locator(".entries > li").first).to_be_in_viewport()
        older = page.get_by_role("link", name="Older entries")
        older.click()
        expect(page).to_have_url(re.compile("until="))
        expect(page.locator(".entries > li").first).to_contain_text("line 0.")

    def test_the_file_has_what_the_filter_finds(self, mara: Watched, company: Company) -> None:
        page = mara.page()
        open_tab(page, company, "logs?level=error")
        with page.expect_download() as saving:
            page.get_by_role("link", name="NDJSON").click()
        lines = saving.value.path().read_text().splitlines()
        assert lines
        assert {json.loads(line)["level"] for line in lines} == {"error"}


class TestDownloads:
    @pytest.fixture
    def page(self, mara: Watched, company: Company) -> Page:
        page = mara.page()
        found = company.services(company.token(MARA), type="kubernetes")
        page.goto(f"/services/{found[0]['serviceId']}/downloads")
        return page

    def test_a_file_is_saved_by_its_own_name(self, page: Page) -> None:
        with page.expect_download() as saving:
            page.get_by_role("link", name="Kubernetes bundle, ZIP", exact=True).click()
        assert saving.value.suggested_filename.endswith("-kubernetes.zip")
        with zipfile.ZipFile(saving.value.path()) as archive:
            assert "manifest.json" in " ".join(archive.namelist())
        outcome = page.locator("download-button .outcome")
        expect(outcome).to_have_text(f"Saved as {saving.value.suggested_filename}")
        # The link is there again, for who wants it twice.
        expect(page.get_by_role("link", name="Kubernetes bundle, ZIP", exact=True)).to_be_focused()

    @pytest.fixture
    def slowly(self, page: Page) -> Page:
        """Over a line that takes a few kilobytes a second."""
        until(lambda: page.evaluate("customElements.get('download-button') !== undefined"))
        slow = page.context.new_cdp_session(page)
        slow.send("Network.enable")
        line = {"offline": False, "latency": 20}
        speeds = {"downloadThroughput": 3000, "uploadThroughput": 100_000}
        slow.send("Network.emulateNetworkConditions", line | speeds)
        return page

    def test_progress_is_told_and_it_can_be_cancelled(self, slowly: Page) -> None:
        link = slowly.get_by_role("link", name="Kubernetes bundle, ZIP", exact=True)
        link.click()
        progress = slowly.locator("progress")
        expect(progress).to_have_attribute("max", re.compile(r"\d{4,}"))
        until(lambda: progress.evaluate("each => each.value > 0"))
        assert progress.evaluate("each => each.position < 1")
        expect(slowly.locator(".progress")).to_contain_text("kB of")
        slowly.get_by_role("button", name="Cancel").click()
        expect(slowly.locator("download-button .outcome")).to_have_text("Cancelled.")
        expect(link).to_be_visible()

    def test_a_refusal_is_told_with_its_request(self, mara: Watched, page: Page) -> None:
        mara.expect_status(400)
        link = page.get_by_role("link", name="Kubernetes bundle, ZIP", exact=True)
        link.evaluate("each => (each.href += '&secrets=perhaps')")
        link.click()
        outcome = page.locator("download-button .outcome")
        expect(outcome).to_have_attribute("role", "alert")
        expect(outcome.locator("code")).to_have_text(re.compile(r"[0-9a-f-]{16,}"))


def test_without_a_script_all_of_it_can_be_read(browser: Browser, company: Company) -> None:
    context = browser.new_context(base_url=company.url, java_script_enabled=False)
    company.sign_in(context, MARA)
    page = context.new_page()
    service = open_tab(page, company, "metrics")
    expect(page.get_by_role("row", name="Response time")).to_contain_text("ms")
    expect(page.locator(".plots")).to_be_hidden()
    page.get_by_role("link", name="7d").click()
    expect(page.locator('.timeframes [aria-current="true"]')).to_have_text("7d")
    page.goto(f"/services/{service['serviceId']}/logs")
    page.get_by_label("Level").select_option("error")
    page.get_by_role("button", name="Search").click()
    entry = page.locator(".entries > li").first
    expect(entry).to_have_class(re.compile("error"))
    entry.locator("summary").click()
    expect(entry.locator("dl")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    page.goto(f"/services/{service['serviceId']}/health")
    expect(page.get_by_role("img", name="Last 24 hours")).to_be_visible()
    page.get_by_role("button", name="Check now").click()
    expect(page.locator(".toast")).to_contain_text("Checked:")
    context.close()
