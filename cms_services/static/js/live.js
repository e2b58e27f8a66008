// Live updates. One tab of a browser holds the stream of events (HTTP/1.1 allows six connections
// to a host) and tells the others; where the stream can't be had, each tab asks by entity tag.
//
// A page that changes says so: <main data-live="*"> follows every event, data-live="<id> <id>"
// those about these services. What changes stands in elements with data-region and an id: the page
// is fetched again, and each region takes over what is new in it; what is typed there stays.

import { say } from "./toasts.js";

/** How a part of a page is asked for: messages stay for the page that is shown next. */
export const PART = { Accept: "text/html", "X-Part-Of-Page": "1" };

const STREAM = "/api/events/stream";
const POLL_MILLISECONDS = 15_000;
// So that a thousand tabs don't ask at the same moment.
const SPREAD_MILLISECONDS = 400;

const channel = new BroadcastChannel("cms-events");
let tag = null;
let tagOf = null;
let wanted = null;
let looking = null;
let isWantedAgain = false;
let lost = null;
let isStreaming = false;
let isFollowing = false;

/** Begin to follow where this page changes; called for each page that is shown. */
export function follow() {
  if (!followed() || isFollowing) return;
  isFollowing = true;
  channel.addEventListener("message", ({ data }) => hear(data));
  // Browsers have locks on safe connections alone; without them no tab knows whether another one
  // holds the stream, and each asks.
  navigator.locks?.request("cms-event-stream", holdStream);
  setInterval(() => isStreaming || document.hidden || lookAgain(), POLL_MILLISECONDS);
  // A tab that slept, or went back in history, has missed what others heard.
  document.addEventListener("visibilitychange", () => document.hidden || lookAgain());
  window.addEventListener("pageshow", (event) => event.persisted && lookAgain());
  window.addEventListener("online", lookAgain);
}

function followed() {
  return document.querySelector("[data-live]")?.dataset.live;
}

/** Hold the stream for all tabs, as long as this one lives. */
function holdStream() {
  return new Promise(() => open());
}

function open() {
  const stream = new EventSource(STREAM);
  const tell = (message) => {
    channel.postMessage(message);
    hear(message);
  };
  // What happened before is not told: the tab that held the stream may have gone.
  stream.addEventListener("open", () => {
    tell({ state: "streaming" });
    tell({ subject: "*" });
  });
  stream.addEventListener("message", ({ data }) => {
    const { subject, type } = JSON.parse(data);
    tell({ subject, type });
  });
  stream.addEventListener("reset", () => tell({ subject: "*" }));
  stream.addEventListener("error", () => {
    tell({ state: "lost" });
    // After a refusal the browser gives up; it comes back by itself from all else.
    if (stream.readyState === EventSource.CLOSED) setTimeout(open, POLL_MILLISECONDS);
  });
  // Tabs that open later ask how it stands.
  channel.addEventListener("message", ({ data }) => {
    if (data.state === "asked" && stream.readyState === EventSource.OPEN) channel.postMessage({ state: "streaming" });
  });
}

function hear({ state, subject, type }) {
  if (state === "streaming" || state === "lost") isStreaming = state === "streaming";
  if (!subject) return;
  document.dispatchEvent(new CustomEvent("cms:event", { detail: { subject, type } }));
  const about = followed();
  if (!about || document.hidden) return;
  if (about === "*" || subject === "*" || about.split(" ").includes(subject)) lookSoon();
}

function lookSoon() {
  wanted ??= setTimeout(lookAgain, Math.random() * SPREAD_MILLISECONDS);
}

/** Fetch this page anew, and let its regions take over what has changed. */
export async function lookAgain() {
  clearTimeout(wanted);
  wanted = null;
  // One look at a time, so that an older answer never comes last.
  isWantedAgain = Boolean(looking);
  looking ??= look().finally(() => {
    looking = null;
    if (isWantedAgain) lookAgain();
  });
  return looking;
}

async function look() {
  const url = location.pathname + location.search;
  if (!document.querySelector("[data-region]")) return;
  if (tagOf !== url) tag = null;
  tagOf = url;
  const headers = { ...PART, ...(tag && { "If-None-Match": tag }) };
  const answer = await fetch(url, { headers, cache: "no-store", redirect: "manual" }).catch(() => null);
  tellLost(!answer);
  if (answer?.ok || answer?.status === 304) document.dispatchEvent(new CustomEvent("cms:looked"));
  const text = answer?.ok && (await answer.text().catch(() => null));
  // The page may be another one by now.
  if (!text || url !== location.pathname + location.search) return;
  const present = new DOMParser().parseFromString(text, "text/html");
  let isComplete = true;
  for (const region of document.querySelectorAll("[data-region]")) {
    const fresh = present.getElementById(region.id);
    if (!fresh || !region.isConnected || fresh.outerHTML === region.outerHTML) continue;
    if (isBusy(region)) isComplete = false;
    else await htmx.swap({ sourceElement: region, target: region, text: fresh.outerHTML, swap: "outerMorph" });
  }
  if (url !== location.pathname + location.search) return;
  // What waited is asked for again.
  tag = isComplete ? answer.headers.get("ETag") : null;
  const about = present.querySelector("[data-live]")?.dataset.live;
  if (about && followed()) document.querySelector("[data-live]").dataset.live = about;
}

/** Say for as long as it lasts that the server is not reached. */
function tellLost(isLost) {
  if (isLost && !lost?.isConnected) lost = say(document.body.dataset.saysOffline, { isWrong: true });
  if (!isLost) lost?.remove();
}

/** Whether somebody is typing or choosing in a region. */
function isBusy(region) {
  const active = document.activeElement;
  return region.contains(active) && active.matches("input:not([type=checkbox]), textarea, select");
}

channel.postMessage({ state: "asked" });
