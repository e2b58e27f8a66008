// <config-editor>: the typed form and the JSON of one document follow each other as one types. What
// typed fields make of a document, and how a document looks as fields, is worked out in one place:
// the server is asked, and what it shows is taken over. Without this each view has its own button.

import "./secret-value.js";
import { say } from "../toasts.js";

const PAUSE_MILLISECONDS = 150;

class ConfigEditor extends HTMLElement {
  connectedCallback() {
    this.typed = this.querySelector("#typed");
    this.raw = this.querySelector("#raw");
    this.text = this.querySelector("#document");
    this.before = this.text.value;
    // Which view was typed in last; it counts until the other one has followed.
    this.origin = null;
    this.changes = 0;
    this.classList.add("joined");
    this.stop = new AbortController();
    const { signal } = this.stop;
    this.typed.addEventListener("input", (event) => this.note("typed", event), { signal });
    this.text.addEventListener("input", (event) => this.note("raw", event), { signal });
    this.addEventListener("compositionend", ({ target }) => this.note(target === this.text ? "raw" : "typed"), { signal });
    // Before htmx hears of it.
    document.addEventListener("submit", (event) => this.submit(event), { signal, capture: true });
    document.addEventListener("click", (event) => this.guard(event), { signal, capture: true });
    this.addEventListener("click", (event) => this.lead(event), { signal });
    window.addEventListener("beforeunload", (event) => this.isUnsaved && event.preventDefault(), { signal });
    // Going back loads nothing anew; where browsers can't tell of it beforehand, nobody is asked.
    window.navigation?.addEventListener("navigate", (event) => {
      if (event.navigationType === "traverse" && event.cancelable) this.ask(event);
    }, { signal });
    // Whoever left is still here where that was refused.
    document.addEventListener("htmx:finally:request", () => (this.isLeaving = false), { signal });
    this.observer = new MutationObserver(() => this.hearOfOthers());
    const saved = document.getElementById("config-saved").parentElement;
    this.observer.observe(saved, { childList: true, subtree: true, attributes: true });
    this.hearOfOthers();
  }

  disconnectedCallback() {
    this.stop.abort();
    this.observer.disconnect();
    clearTimeout(this.pause);
  }

  get isUnsaved() {
    return !this.isLeaving && (this.text.value !== this.before || this.origin !== null || "unsaved" in this.dataset);
  }

  note(origin, event) {
    if (event?.isComposing) return;
    this.origin = origin;
    this.changes += 1;
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.follow(), PAUSE_MILLISECONDS);
  }

  /** Ask what the other view looks like by now, and take it over. */
  async follow(button) {
    clearTimeout(this.pause);
    const origin = button ? "typed" : this.origin;
    if (!origin) return;
    const asked = this.changes;
    const body = new URLSearchParams(new FormData(origin === "raw" ? this.raw : this.typed, button));
    const headers = { Accept: "text/html" };
    const answer = await fetch(this.dataset.check, { method: "POST", body, headers }).catch(() => null);
    const text = await answer?.text().catch(() => null);
    // What was typed meanwhile asks by itself.
    if (!this.isConnected || asked !== this.changes) return;
    this.origin = null;
    if (!answer?.ok || text === null) {
      say(document.body.dataset.saysLost, { isWrong: true });
      return;
    }
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const isReadable = fresh.querySelector("[name=base]") !== null;
    this.querySelector(".state").textContent = isReadable ? "" : this.dataset.saysUnreadable;
    this.classList.toggle("unreadable", !isReadable);
    align(this.querySelector("#config-told"), fresh.querySelector("#config-told"), null);
    if (!isReadable) return;
    const active = origin === "typed" && !button ? document.activeElement : null;
    align(this.querySelector("#config-fields"), fresh.querySelector("#config-fields"), active);
    if (origin === "typed") this.text.value = fresh.querySelector("#document").value;
  }

  async submit(event) {
    const { target, submitter } = event;
    if (target !== this.typed && target !== this.raw) {
      if (target.method === "post") this.ask(event);
      return;
    }
    const isField = submitter?.name === "add" || submitter?.name === "remove";
    if (!isField && target === this.raw && !this.origin) {
      this.isLeaving = true;
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    if (isField) {
      this.changes += 1;
      const group = submitter.closest("fieldset")?.id;
      await this.follow(submitter);
      this.focusIn(group, submitter.name === "add");
    } else {
      await this.follow();
      if (!this.origin) this.raw.requestSubmit();
    }
  }

  /** After adding, the new fields; after removing, where another can be added. */
  focusIn(group, isNew) {
    const within = group && document.getElementById(group);
    if (!within) return;
    const rows = within.querySelectorAll(":scope > .row, :scope > .element");
    const last = rows[rows.length - 1]?.querySelector("input, select, textarea");
    ((isNew && last) || within.querySelector(":scope > .add") || within).focus();
  }

  /** The link of a problem leads into its field, wherever that is folded away. */
  lead(event) {
    const link = event.target.closest("#config-told a[href^='#']");
    const field = link && document.getElementById(link.getAttribute("href").slice(1));
    if (!field) return;
    event.preventDefault();
    for (let around = field.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
    field.focus();
  }

  /** Whoever is about to leave something unsaved is asked. */
  guard(event) {
    const link = event.target instanceof Element && event.target.closest("a[href]");
    if (!link || link.target === "_blank" || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (link.getAttribute("href").startsWith("#") || link.matches("[data-dialog], [data-close], [download]")) return;
    this.ask(event);
  }

  ask(event) {
    if (!this.isUnsaved) return;
    if (confirm(this.dataset.saysLeave)) {
      this.isLeaving = true;
    } else {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }

  /** A region of the page tells of the version that was saved last. */
  hearOfOthers() {
    const { number, author } = document.getElementById("config-saved")?.dataset ?? {};
    if (!number || Number(number) <= Number(this.dataset.number)) return;
    const bar = this.querySelector(".newer");
    bar.querySelector("[data-author]").textContent = author;
    bar.hidden = false;
  }
}

/** Make a node like a fresh one and keep what is there, so that focus stays; `active` keeps its text. */
function align(old, fresh, active) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !old.matches("details")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  // Whoever has revealed a secret sees it until its time is over.
  if (old.localName === "secret-value") return;
  const present = [...old.childNodes];
  const wanted = [...fresh.childNodes];
  wanted.forEach((child, number) => {
    const there = present[number];
    if (there && isAlike(there, child)) align(there, child, active);
    else if (there) there.replaceWith(child);
    else old.append(child);
  });
  for (const each of present.slice(wanted.length)) each.remove();
  if (old === active || !old.matches("input, textarea, select")) return;
  if (old.type === "checkbox") old.checked = fresh.checked;
  else if (old.value !== fresh.value) old.value = fresh.value;
}

function isAlike(old, fresh) {
  return old.nodeName === fresh.nodeName && old.type === fresh.type && old.dataset?.place === fresh.dataset?.place;
}

customElements.define("config-editor", ConfigEditor);
