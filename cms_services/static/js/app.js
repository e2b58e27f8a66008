// What all pages share: links and forms without a reload (htmx), dialogs, messages, waiting, the
// elements of our own that a page holds, and live updates. Without it every page still works by
// links and forms alone.

import { follow, PART } from "./live.js";
import { say, welcomeToasts } from "./toasts.js";

const LATE_MILLISECONDS = 200;

// --- elements of our own: <log-tail> is defined by elements/log-tail.js, when a page holds one ---

const asked = new Set();

function loadElements() {
  for (const element of document.querySelectorAll(":not(:defined)")) {
    const name = element.localName;
    if (!asked.has(name)) {
      asked.add(name);
      import(`./elements/${name}.js`);
    }
  }
}

// --- times as the reader counts them: <time data-relative> says "3 minutes ago" ---

const STEPS = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30], ["month", 12], ["year", Infinity]];

function tellTimes() {
  const times = document.querySelectorAll("time[data-relative]");
  if (!times.length) return;
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
  for (const time of times) {
    let count = (Date.parse(time.dateTime) - Date.now()) / 1000;
    for (const [unit, most] of STEPS) {
      if (Math.abs(count) < most) {
        time.textContent = words.format(Math.round(count), unit);
        break;
      }
      count /= most;
    }
  }
}

// --- dialogs: <a data-dialog href="…"> shows that page's .confirm in a dialog ---

let opening = null;

async function openDialog(link) {
  opening?.abort();
  opening = new AbortController();
  const { signal } = opening;
  const answer = await fetch(link.href, { headers: PART, signal }).catch(() => null);
  const text = await answer?.text().catch(() => null);
  // Another one was asked for meanwhile, or another page.
  if (signal.aborted) return;
  if (!text) {
    say(document.body.dataset.saysLost, { isWrong: true });
    return;
  }
  const page = new DOMParser().parseFromString(text, "text/html");
  const content = page.querySelector(".confirm");
  if (!content) {
    // Whatever it is, it has a page of its own.
    if (!sayProblemOf(page)) location.assign(link.href);
    return;
  }
  const dialog = document.getElementById("dialog");
  dialog.replaceChildren(content);
  dialog.querySelector("h1")?.setAttribute("id", "dialog-title");
  htmx.process(dialog);
  loadElements();
  dialog.showModal();
}

/** Say what a page of errors says; whether it is one. */
function sayProblemOf(page) {
  const problem = page.querySelector("[data-problem]");
  if (problem) say(problem.dataset.problem, { request: problem.dataset.request, isWrong: true });
  return Boolean(problem);
}

document.addEventListener("click", (event) => {
  if (!(event.target instanceof Element) || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.target.closest("a[data-dialog]");
  if (link) {
    event.preventDefault();
    event.stopPropagation();
    openDialog(link);
  } else if (event.target.closest(".toast [data-close]")) {
    event.target.closest(".toast").remove();
  } else if (event.target.closest("dialog [data-close]")) {
    event.preventDefault();
    event.stopPropagation();
    event.target.closest("dialog").close();
  }
}, { capture: true });

// --- one page at a time: the one that was asked for last is shown, and a form that is on its way is
// not sent again ---

let awaited = null;

document.addEventListener("htmx:config:request", (event) => {
  const { ctx } = event.detail;
  if (ctx.target !== document.body) return;
  if (ctx.request.method === "POST" && awaited?.sourceElement === ctx.sourceElement) event.preventDefault();
  else awaited?.request.abort?.();
});

document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  if (ctx.target !== document.body) return;
  awaited = ctx;
  opening?.abort();
});

document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => {
  if (awaited === ctx) awaited = null;
});

// --- waiting, and answers that did not come ---

let late = null;
let waiting = 0;
// Where the reader was before grey bars took the place of all.
let left = null;

document.addEventListener("htmx:before:request", (event) => {
  waiting += 1;
  document.body.classList.add("waiting");
  const { sourceElement, target } = event.detail.ctx;
  if (sourceElement instanceof HTMLAnchorElement && target === document.body) {
    late ??= setTimeout(showSkeleton, LATE_MILLISECONDS);
  }
});

document.addEventListener("htmx:finally:request", () => {
  waiting = Math.max(0, waiting - 1);
  if (waiting === 0) {
    clearTimeout(late);
    late = null;
    document.body.classList.remove("waiting");
    hideSkeleton();
  }
});

function showSkeleton() {
  const page = document.querySelector(".page");
  if (!page) return;
  left = { focused: document.activeElement, top: scrollY };
  page.append(document.getElementById("skeleton").content.cloneNode(true));
  page.classList.add("late");
}

function hideSkeleton() {
  const page = document.querySelector(".page.late");
  if (!page) return;
  page.classList.remove("late");
  page.querySelector(":scope > .skeleton")?.remove();
  scrollTo(0, left.top);
  left.focused.focus({ preventScroll: true });
}

document.addEventListener("htmx:before:swap", (event) => {
  const { ctx } = event.detail;
  if (!ctx.response) return;
  const isPage = ctx.text.includes("<main");
  if (ctx.target === document.body && ctx !== awaited) {
    event.preventDefault();
  } else if (ctx.select && ctx.response.raw.redirected) {
    // Instead of a part of this page, it is the form to sign in.
    event.preventDefault();
    location.assign(ctx.response.raw.url);
  } else if (!isPage) {
    event.preventDefault();
    // A file, or what a proxy says that does not reach us.
    if (ctx.response.status < 400) location.assign(ctx.response.raw.url);
    else tellLost(ctx, document.body.dataset.saysFailed);
  } else if (ctx.response.status >= 400 && ctx.sourceElement instanceof HTMLFormElement) {
    // A form's own page of errors is shown. Where there is only a page that says what went wrong,
    // the form stays, with all that was typed.
    if (sayProblemOf(new DOMParser().parseFromString(ctx.text, "text/html"))) event.preventDefault();
  }
});

document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
  if (ctx && ctx.text === undefined) tellLost(ctx, document.body.dataset.saysLost);
});

function tellLost(ctx, words) {
  // The address is that of the other page already: it must not stand above this one.
  if (ctx.request.headers["HX-History-Restore-Request"]) location.reload();
  else say(words, { isWrong: true });
}

// Going back asks for the page anew, which must not become an entry of its own: nobody would get
// further back.
document.addEventListener("htmx:before:history:update", (event) => {
  const { pathname, search, hash } = location;
  if ([pathname + search, pathname + search + hash].includes(event.detail.history.path)) event.preventDefault();
});

// What was searched for meanwhile is in the address alone.
document.addEventListener("submit", ({ target }) => {
  const back = target.matches("[data-prefers]") && target.elements.back;
  if (back) back.value = location.pathname + location.search;
}, { capture: true });

// --- every page, the first and those that replace it ---

function begin() {
  loadElements();
  tellTimes();
  follow();
}

/** Show where one is in bars that are wider than the window. */
function showCurrent() {
  for (const current of document.querySelectorAll(".tabs > [aria-current], .places > [aria-current]")) {
    const [bar, own] = [current.parentElement, current].map((each) => each.getBoundingClientRect());
    current.parentElement.scrollLeft += own.left + own.width / 2 - bar.left - bar.width / 2;
  }
}

document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  begin();
  // What a page takes over as it changes by itself leaves its reader where they are.
  if (!ctx.response) return;
  showCurrent();
  if (ctx.target !== document.body) return;
  welcomeToasts();
  // From there Tab goes on, and not from the top of the page.
  if (document.activeElement === document.body) document.getElementById("content")?.focus({ preventScroll: true });
});
setInterval(tellTimes, 30_000);
begin();
showCurrent();
welcomeToasts();
