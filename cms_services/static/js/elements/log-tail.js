// <log-tail data-tail="…/logs/tail?…">: adds what is logged to the list that it holds, by
// server-sent events; and marks in all entries what is searched for.

const MOST_LINES = 1000;
const CATCH_UP = 200;
// What comes within so long is put into the list at once, so that a burst costs one layout.
const GATHER_MILLISECONDS = 100;
const AGAIN_MILLISECONDS = [2000, 5000, 15_000];

class LogTail extends HTMLElement {
  connectedCallback() {
    this.life = new AbortController();
    const { signal } = this.life;
    this.list = this.querySelector("ol");
    this.empty = this.querySelector("[data-empty]");
    this.older = this.querySelector("[data-older]");
    this.known = new Set([...this.list.children].map((entry) => entry.dataset.number));
    this.sought = soughtIn(this.dataset.sought);
    this.levels = JSON.parse(this.dataset.levels);
    for (const entry of this.list.children) this.mark(entry);
    this.list.addEventListener("keydown", (event) => this.walk(event), { signal });
    if (!this.dataset.tail) return;
    this.gathered = [];
    this.waiting = [];
    this.unseen = 0;
    this.failures = 0;
    this.pause = this.querySelector("[data-pause]");
    this.fresh = this.querySelector("[data-fresh]");
    this.state = this.querySelector(".follow");
    this.pause.hidden = this.state.hidden = false;
    this.pause.addEventListener("click", () => this.turn(), { signal });
    this.fresh.addEventListener("click", () => this.toTop(), { signal });
    window.addEventListener("scroll", () => this.isAtTop() && this.seen(), { signal, passive: true });
    // A hidden tab holds no stream, and catches up when it is looked at.
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()), { signal });
    if (!document.hidden) this.open();
  }

  disconnectedCallback() {
    this.life.abort();
    this.close();
  }

  get isPaused() {
    return this.pause.getAttribute("aria-pressed") === "true";
  }

  // --- the stream ---

  open() {
    this.close();
    this.say("connecting");
    const stream = (this.stream = new EventSource(this.dataset.tail));
    stream.addEventListener("open", () => {
      this.failures = 0;
      this.say("following");
      this.catchUp();
    });
    stream.addEventListener("message", ({ data }) => this.gather(JSON.parse(data)));
    stream.addEventListener("error", () => {
      this.say("lost");
      // The browser comes back by itself, but for a refusal.
      if (stream.readyState !== EventSource.CLOSED) return;
      const wait = AGAIN_MILLISECONDS[Math.min(this.failures++, AGAIN_MILLISECONDS.length - 1)];
      this.again = setTimeout(() => this.open(), wait);
    });
  }

  gather(entry) {
    this.gathered.push(entry);
    this.soon ??= setTimeout(() => {
      this.soon = null;
      this.take(this.gathered.splice(0));
    }, GATHER_MILLISECONDS);
  }

  close() {
    clearTimeout(this.again);
    this.stream?.close();
    this.stream = null;
  }

  /** What was logged between the page, or an earlier stream, and this one. */
  async catchUp() {
    const url = new URL(this.dataset.entries, location.href);
    url.searchParams.set("limit", CATCH_UP);
    const answer = await fetch(url, { signal: this.life.signal }).catch(() => null);
    if (!answer?.ok) return;
    const { data } = await answer.json();
    const first = this.list.firstElementChild;
    const oldest = data.at(-1);
    // Too much has come for one look: what is shown begins anew, so that no gap is hidden in it.
    if (data.length === CATCH_UP && first && oldest.timestamp > first.dataset.at && !this.known.has(String(oldest.id))) {
      this.list.replaceChildren();
      this.known.clear();
      this.waiting = [];
    }
    this.take(data.reverse());
  }

  // --- the list ---

  take(entries) {
    const fresh = entries.filter((each) => !this.known.has(String(each.id)));
    if (!fresh.length) return;
    for (const each of fresh) this.known.add(String(each.id));
    if (this.isPaused) {
      this.waiting.push(...fresh);
      this.waiting.splice(0, this.waiting.length - MOST_LINES);
      this.tellWaiting();
    } else {
      this.put(fresh);
    }
  }

  put(fresh) {
    if (!fresh.length) return;
    for (const each of fresh.slice(-MOST_LINES)) this.insert(each);
    this.trim();
    this.empty.hidden = true;
    if (!this.isAtTop()) {
      this.unseen += fresh.length;
      this.fresh.hidden = false;
      this.fresh.querySelector("span").textContent = `${this.unseen} ${this.dataset.saysNew}`;
    }
  }

  /** Put an entry where it belongs; one that was sent late stands below newer ones. */
  insert(entry) {
    const at = Date.parse(entry.timestamp);
    let next = this.list.firstElementChild;
    while (next && Date.parse(next.dataset.at) > at) next = next.nextElementSibling;
    // What is older than all that is shown stands on a later page.
    if (next || this.older.hidden) this.list.insertBefore(this.made(entry), next);
  }

  trim() {
    if (this.list.children.length <= MOST_LINES) return;
    while (this.list.children.length > MOST_LINES) {
      this.known.delete(this.list.lastElementChild.dataset.number);
      this.list.lastElementChild.remove();
    }
    // What follows is older than what is left now.
    const url = new URL(this.dataset.page, location.href);
    url.searchParams.set("until", new Date(Date.parse(this.list.lastElementChild.dataset.at) + 1).toISOString());
    this.older.href = url;
    this.older.hidden = false;
  }

  made(entry) {
    const item = this.querySelector("template").content.firstElementChild.cloneNode(true);
    item.classList.add(entry.level, "arrived");
    item.dataset.number = entry.id;
    item.dataset.at = entry.timestamp;
    const time = item.querySelector("time");
    time.dateTime = entry.timestamp;
    time.textContent = new Date(entry.timestamp).toISOString().slice(0, 23).replace("T", " ");
    item.querySelector(".level").textContent = this.levels[entry.level];
    item.querySelector(".source").textContent = entry.source;
    for (const place of item.querySelectorAll(".message, .whole")) place.textContent = entry.message;
    const told = item.querySelector("dl");
    if (entry.traceId) told.append(...this.told("traceId", entry.traceId, ["traceId", entry.traceId]));
    for (const [name, value] of scalars(entry.attributes)) {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      told.append(...this.told(name, text, Array.isArray(value) ? null : ["attribute", `${name}:${text}`]));
    }
    this.mark(item);
    return item;
  }

  told(name, text, filter) {
    const term = document.createElement("dt");
    term.textContent = name;
    const description = document.createElement("dd");
    const code = document.createElement("code");
    code.textContent = text;
    description.append(code);
    if (filter) {
      const url = new URL(this.dataset.page, location.href);
      if (filter[0] === "attribute") url.searchParams.append(...filter);
      else url.searchParams.set(...filter);
      const link = document.createElement("a");
      link.href = url;
      link.textContent = this.dataset.saysOnly;
      link.setAttribute("aria-label", `${this.dataset.saysOnlyWith} ${name} ${text}`);
      description.append(" ", link);
    }
    return [term, description];
  }

  mark(item) {
    if (!this.sought) return;
    for (const place of item.querySelectorAll(".message, .whole")) {
      const pieces = [];
      let end = 0;
      const text = place.textContent;
      for (const found of text.matchAll(this.sought)) {
        const mark = document.createElement("mark");
        mark.textContent = found[0];
        pieces.push(text.slice(end, found.index), mark);
        end = found.index + found[0].length;
      }
      if (pieces.length) place.replaceChildren(...pieces, text.slice(end));
    }
  }

  // --- what the reader does ---

  turn() {
    const pausing = !this.isPaused;
    this.pause.setAttribute("aria-pressed", String(pausing));
    this.pause.querySelector("[data-words]").textContent = pausing ? this.dataset.saysResume : this.dataset.saysPause;
    const icon = this.pause.querySelector("use");
    icon.setAttribute("href", icon.getAttribute("href").replace(/#.*/, pausing ? "#play" : "#pause"));
    if (!pausing) this.put(this.waiting.splice(0));
    this.tellWaiting();
    this.say(this.said);
  }

  tellWaiting() {
    this.pause.querySelector("[data-waiting]").textContent = this.waiting.length ? `(${this.waiting.length})` : "";
  }

  say(state) {
    this.said = state;
    const shown = this.isPaused && state === "following" ? "paused" : state;
    this.state.dataset.state = shown;
    const words = { following: "saysFollowing", connecting: "saysConnecting", lost: "saysLost", paused: "saysPaused" };
    this.state.querySelector("[data-state-words]").textContent = this.dataset[words[shown]];
  }

  isAtTop() {
    return this.list.getBoundingClientRect().top >= 0;
  }

  toTop() {
    this.querySelector(".head").scrollIntoView({ block: "start" });
    this.list.querySelector("summary")?.focus({ preventScroll: true });
    this.seen();
  }

  seen() {
    this.unseen = 0;
    this.fresh.hidden = true;
  }

  /** Up and down go from entry to entry. */
  walk(event) {
    const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (!way || !event.target.matches("summary")) return;
    event.preventDefault();
    event.target.closest("li")[way]?.querySelector("summary").focus();
  }
}

/** What marks the words of a search, as the server reads it; null where nothing is to be marked. */
function soughtIn(query) {
  const word = "[\\p{L}\\p{N}_]";
  const patterns = [];
  for (const [, minus, phrase, bare] of query.matchAll(/(-?)(?:"([^"]*)"?|(\S+))/g)) {
    const words = (phrase ?? bare).match(new RegExp(`${word}+`, "gu"));
    if (minus || !words) continue;
    patterns.push(`(?<!${word})${words.join(`[^\\p{L}\\p{N}_]+`)}${phrase === undefined ? "" : `(?!${word})`}`);
  }
  return patterns.length ? new RegExp(patterns.join("|"), "giu") : null;
}

/** The attributes by name, those within objects by dotted names. */
function* scalars(attributes, prefix = "") {
  for (const [name, value] of Object.entries(attributes)) {
    if (value && typeof value === "object" && !Array.isArray(value)) yield* scalars(value, `${prefix}${name}.`);
    else yield [prefix + name, value];
  }
}

customElements.define("log-tail", LogTail);
