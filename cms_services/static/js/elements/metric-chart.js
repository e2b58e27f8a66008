// <metric-chart src="…/metrics?timeframe=24h">: a chart in each <figure data-metric> that it holds,
// all over the same time. Drawn by uPlot; zoomed by dragging, or by the buttons with data-zoom.

import { lookAgain } from "../live.js";
import { Refused, inPageLanguage, refusalOf } from "../refusals.js";

const VENDOR = new URL("../../vendor/", import.meta.url).href;
const REFRESH_MILLISECONDS = 30_000;
const LATE_MILLISECONDS = 200;
const HEIGHT = 200;
const SERIES = ["value", "p50", "p95", "p99"];

let loading = null;

/** uPlot and its style sheet, asked for once by whichever page has a chart first. */
function uPlotLoaded() {
  loading ??= new Promise((resolve, reject) => {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = `${VENDOR}uPlot.min.css`;
    const script = document.createElement("script");
    script.src = `${VENDOR}uPlot.iife.min.js`;
    script.addEventListener("load", resolve);
    script.addEventListener("error", reject);
    document.head.append(style, script);
  }).catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

class MetricChart extends HTMLElement {
  connectedCallback() {
    this.life = new AbortController();
    const { signal } = this.life;
    this.plots = [...this.querySelectorAll("figure[data-metric]")].map((figure) => new Plot(this, figure));
    this.span = null;
    this.shown = null;
    this.addEventListener("click", (event) => this.act(event), { signal });
    const isSeen = () => document.hidden || this.refresh();
    this.timer = setInterval(isSeen, REFRESH_MILLISECONDS);
    document.addEventListener("visibilitychange", isSeen, { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw(), { signal });
    this.theme = new MutationObserver(() => this.redraw());
    this.theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    this.load();
  }

  disconnectedCallback() {
    this.life.abort();
    clearInterval(this.timer);
    this.theme.disconnect();
    for (const plot of this.plots) plot.end();
  }

  /** Ask for the newest; the numbers beside the charts are the page's own. */
  refresh() {
    this.load();
    if (this.plots.length) lookAgain();
  }

  async load() {
    const late = setTimeout(() => this.plots.forEach((plot) => plot.wait()), LATE_MILLISECONDS);
    this.setAttribute("aria-busy", "true");
    try {
      const [found, percentiles] = await Promise.all([
        this.ask(this.getAttribute("src")),
        this.dataset.percentiles ? this.ask(this.dataset.percentiles) : null,
        uPlotLoaded(),
      ]);
      if (this.life.signal.aborted) return;
      this.tell(null);
      this.show(found, percentiles?.percentiles ?? {});
    } catch (error) {
      if (this.life.signal.aborted) return;
      this.tell(error instanceof Refused ? error : new Refused(this.dataset.saysLost));
    } finally {
      clearTimeout(late);
      this.removeAttribute("aria-busy");
      this.plots.forEach((plot) => plot.stopWaiting());
    }
  }

  async ask(url) {
    const answer = await fetch(url, { headers: { Accept: "application/json", ...inPageLanguage() }, signal: this.life.signal });
    if (!answer.ok) throw await refusalOf(answer, this.dataset.saysLost);
    return (await answer.json()).data;
  }

  show(found, percentiles) {
    const names = Object.keys(found.series);
    if (names.some((name) => !this.plots.some((plot) => plot.name === name))) {
      // A metric that the page does not know yet: the page is shown anew, with a place for it.
      htmx.ajax("GET", location.pathname + location.search, { target: "body", swap: "innerHTML" });
      return;
    }
    this.whole = [Date.parse(found.from) / 1000, Date.parse(found.to) / 1000];
    this.step = found.step;
    for (const plot of this.plots) plot.show(found.series[plot.name] ?? [], percentiles[plot.name] ?? {}, found.step);
    this.zoom(this.span);
  }

  /** Say what went wrong, or that nothing does. */
  tell(problem) {
    const box = this.querySelector("[data-problem-box]");
    box.hidden = !problem;
    if (!problem) return;
    box.querySelector("[data-message]").textContent = problem.message;
    const request = box.querySelector("[data-request-line]");
    request.hidden = !problem.request;
    request.querySelector("code").textContent = problem.request ?? "";
  }

  act(event) {
    const button = event.target.closest("button");
    if (button?.hasAttribute("data-again")) this.load();
    const way = button?.dataset.zoom;
    if (!way || !this.whole) return;
    const [start, end] = this.span ?? this.whole;
    const length = end - start;
    if (way === "in") this.zoom([start + length / 4, end - length / 4]);
    else if (way === "out") this.zoom([start - length / 2, end + length / 2]);
    else if (way === "earlier") this.zoom([start - length / 2, end - length / 2]);
    else if (way === "later") this.zoom([start + length / 2, end + length / 2]);
    else this.zoom(null);
  }

  /** Show a span of seconds, or all of it. */
  zoom(span) {
    const [first, last] = this.whole;
    if (span) {
      const length = Math.max(span[1] - span[0], 4 * this.step);
      const start = Math.max(first, Math.min((span[0] + span[1] - length) / 2, last - length));
      span = length >= last - first ? null : [start, start + length];
    }
    this.span = span;
    const [min, max] = span ?? this.whole;
    for (const plot of this.plots) plot.uplot?.setScale("x", { min, max });
    for (const button of this.querySelectorAll("[data-zoom]")) {
      const can = { in: max - min > 4 * this.step, earlier: min > first, later: max < last }[button.dataset.zoom];
      // A disabled button would lose the focus of who zooms by keyboard.
      button.setAttribute("aria-disabled", String(!(can ?? Boolean(span))));
    }
  }

  redraw() {
    for (const plot of this.plots) plot.uplot?.redraw(false, true);
  }
}

/** One figure: its canvas, and its legend with the values at the cursor. */
class Plot {
  constructor(owner, figure) {
    this.owner = owner;
    this.figure = figure;
    this.name = figure.dataset.metric;
    this.unit = figure.dataset.unit;
    this.canvas = figure.querySelector(".canvas");
    this.reading = figure.querySelector(".reading");
    this.keys = SERIES.map((series) => figure.querySelector(`[data-series="${series}"]`));
    this.language = document.documentElement.lang;
    this.sizes = new ResizeObserver(() => this.uplot?.setSize(this.size()));
    this.sizes.observe(this.canvas);
    this.canvas.addEventListener("keydown", (event) => this.step(event));
    // Read aloud while somebody walks along it by keys, and not whenever it changes.
    this.canvas.addEventListener("focus", () => this.reading.setAttribute("aria-live", "polite"));
    this.canvas.addEventListener("blur", () => this.reading.removeAttribute("aria-live"));
  }

  end() {
    this.sizes.disconnect();
    this.uplot?.destroy();
  }

  size() {
    return { width: Math.max(120, Math.floor(this.canvas.clientWidth)), height: HEIGHT };
  }

  wait() {
    if (this.uplot || this.canvas.firstChild) return;
    const bars = document.createElement("div");
    bars.className = "skeleton";
    const bar = document.createElement("span");
    bar.className = "tall";
    bars.append(bar);
    this.canvas.append(bars);
  }

  stopWaiting() {
    this.canvas.querySelector(".skeleton")?.remove();
  }

  show(points, percentiles, step) {
    this.stopWaiting();
    const used = SERIES.filter((series) => series === "value" || percentiles[series]);
    const data = columns([points, ...used.slice(1).map((series) => percentiles[series])], step);
    this.keys.forEach((key, number) => (key.hidden = !used.includes(SERIES[number])));
    if (this.uplot && this.used.join() === used.join()) {
      this.uplot.setData(data, false);
    } else {
      this.uplot?.destroy();
      this.used = used;
      this.uplot = new uPlot(this.options(used), data, this.canvas);
    }
    this.read();
  }

  options(used) {
    const ink = (name) => () => getComputedStyle(this.figure.querySelector(`[data-ink="${name}"]`)).color;
    const axis = { stroke: ink("axis"), grid: { stroke: ink("grid"), width: 1 }, ticks: { stroke: ink("grid"), width: 1 } };
    return {
      ...this.size(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { show: false },
      scales: { x: { auto: false }, y: { range: (_, min, max) => room(min, max) } },
      axes: [
        { ...axis, size: 34, space: 70, values: (_, splits, __, ___, increment) => splits.map((each) => this.timeOf(each, increment)) },
        { ...axis, size: 64, values: (_, splits) => splits.map((each) => this.short(each)) },
      ],
      series: [{}, ...used.map((series) => {
        const color = ink(series);
        const soft = () => `color-mix(in srgb, ${color()} 14%, transparent)`;
        return { stroke: color, width: series === "value" ? 2 : 1.5, spanGaps: false, points: { size: 5 },
          ...(used.length === 1 && { fill: soft }) };
      })],
      cursor: {
        sync: { key: "metrics", filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
        drag: { x: true, y: false, setScale: false },
        points: { size: 8 },
        bind: { dblclick: () => () => this.owner.zoom(null) },
      },
      hooks: {
        setSelect: [(uplot) => {
          const { left, width } = uplot.select;
          if (width > 4) this.owner.zoom([uplot.posToVal(left, "x"), uplot.posToVal(left + width, "x")]);
          uplot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        }],
        setCursor: [() => this.read()],
      },
    };
  }

  /** Move along the values by arrow keys. */
  step(event) {
    const ways = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    const way = ways[event.key];
    if (way === undefined || !this.uplot) return;
    event.preventDefault();
    const { data, cursor, scales } = this.uplot;
    const within = data[0].map((_, number) => number).filter((number) =>
      data[0][number] >= scales.x.min && data[0][number] <= scales.x.max && data[1][number] != null);
    if (!within.length) return;
    const present = within.indexOf(cursor.idx);
    const place = present < 0 ? within.length - 1 : Math.max(0, Math.min(within.length - 1, present + way));
    const left = this.uplot.valToPos(data[0][within[place]], "x");
    this.uplot.setCursor({ left, top: this.uplot.over.clientHeight / 2 });
  }

  /** Put the values at the cursor, or the newest, into the legend. */
  read() {
    if (!this.uplot) return;
    const { data, cursor } = this.uplot;
    const newest = data[1].findLastIndex((value) => value != null);
    const place = cursor.idx ?? newest;
    const time = this.reading.querySelector("time");
    const at = data[0][place];
    time.textContent = at === undefined ? "" : this.moment(at);
    this.used.forEach((series, number) => {
      const key = this.keys[SERIES.indexOf(series)];
      key.querySelector("output").textContent = this.told(data[number + 1][place]);
    });
  }

  told(value) {
    if (value == null) return "–";
    const percent = this.percent(value);
    return percent ?? `${this.number(value, { maximumSignificantDigits: 4 })} ${this.unit}`.trim();
  }

  short(value) {
    return this.percent(value) ?? this.number(value, { notation: "compact", maximumSignificantDigits: 3 });
  }

  /** In percent, where that is the unit; null where it is not. */
  percent(value) {
    const whole = { share: 1, "%": 100 }[this.unit];
    return whole ? this.number(value / whole, { style: "percent", maximumFractionDigits: 2 }) : null;
  }

  number(value, options) {
    return new Intl.NumberFormat(this.language, options).format(value);
  }

  moment(seconds) {
    const options = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" };
    return new Intl.DateTimeFormat(this.language === "en" ? "en-GB" : this.language, options).format(seconds * 1000);
  }

  timeOf(seconds, increment) {
    const isDay = increment >= 86_400 || seconds % 86_400 === 0;
    const options = isDay ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" };
    const language = this.language === "en" ? "en-GB" : this.language;
    return new Intl.DateTimeFormat(language, { ...options, timeZone: "UTC" }).format(seconds * 1000);
  }
}

/** From zero, with a little air above. */
function room(min, max) {
  if (min == null || max == null) return [0, 1];
  return [Math.min(0, min), max > 0 ? max * 1.08 : Math.max(0, max) || 1];
}

/** Points of several series as uPlot takes them, with a gap where values stayed away for long. */
function columns(all, step) {
  const values = all.map((points) => new Map(points.map(([at, value]) => [Date.parse(at) / 1000, value])));
  const times = [...new Set(values.flatMap((each) => [...each.keys()]))].sort((a, b) => a - b);
  const gaps = times.slice(1).map((time, number) => time - times[number]).sort((a, b) => a - b);
  const usual = Math.max(step, gaps[Math.floor(gaps.length / 2)] ?? step);
  const spread = [];
  times.forEach((time, number) => {
    if (number && time - times[number - 1] > 3 * usual) spread.push(times[number - 1] + usual);
    spread.push(time);
  });
  return [spread, ...values.map((each) => spread.map((time) => each.get(time) ?? null))];
}

customElements.define("metric-chart", MetricChart);
