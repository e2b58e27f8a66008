// What all pages share: links and forms without a reload (htmx), dialogs, messages, waiting, the
// elements of our own that a page holds, and live updates. Without it every page still works by
// links and forms alone.

import { follow } from "./live.js";
import { say } from "./toasts.js";

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
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
  for (const time of document.querySelectorAll("time[data-relative]")) {
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

async function openDialog(link) {
  const answer = await fetch(link.href, { headers: { Accept: "text/html" } }).catch(() => null);
  const page = answer && new DOMParser().parseFromString(await answer.text(), "text/html");
  const content = page?.querySelector(".confirm");
  if (!content) {
    // Whatever it is, it has a page of its own.
    location.assign(link.href);
    return;
  }
  const dialog = document.getElementById("dialog");
  dialog.replaceChildren(content);
  dialog.querySelector("h1")?.setAttribute("id", "dialog-title");
  htmx.process(dialog);
  loadElements();
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  if (!(event.target instanceof Element) || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.target.closest("a[data-dialog]");
  if (link) {
    event.preventDefault();
    event.stopPropagation();
    openDialog(link);
  } else if (event.target.closest("dialog [data-close]")) {
    event.preventDefault();
    event.stopPropagation();
    event.target.closest("dialog").close();
  } else if (event.target.closest(".toast [data-close]")) {
    event.target.closest(".toast").remove();
  }
}, { capture: true });

// --- waiting, and answers that did not come ---

let late = null;
let waiting = 0;

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
  page.append(document.getElementById("skeleton").content.cloneNode(true));
  page.classList.add("late");
}

function hideSkeleton() {
  const page = document.querySelector(".page.late");
  page?.classList.remove("late");
  page?.querySelector(":scope > .skeleton")?.remove();
}

// A form's own page of errors is shown. Where there is only a page that says what went wrong, the
// form stays, with all that was typed.
document.addEventListener("htmx:before:swap", (event) => {
  const { ctx } = event.detail;
  if (!ctx.response || ctx.response.status < 400 || !(ctx.sourceElement instanceof HTMLFormElement)) return;
  const page = new DOMParser().parseFromString(ctx.text, "text/html");
  const problem = page.querySelector("[data-problem]");
  if (problem) {
    event.preventDefault();
    say(problem.dataset.problem, { request: problem.dataset.request, isWrong: true });
  }
});

document.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx && !event.detail.ctx.response) say(document.body.dataset.saysLost, { isWrong: true });
});

// Going back asks for the page anew, which must not become an entry of its own: nobody would get
// further back.
document.addEventListener("htmx:before:history:update", (event) => {
  const { pathname, search, hash } = location;
  if (event.detail.history.path === pathname + search + hash) event.preventDefault();
});

// --- every page, the first and those that replace it ---

function begin() {
  loadElements();
  tellTimes();
  follow();
}

document.addEventListener("htmx:after:swap", begin);
setInterval(tellTimes, 30_000);
begin();
