// <download-button> around a link: fetches the file and shows how far it is. Without it the link
// does the same by the browser's own means.

import { Refused, inPageLanguage, refusalOf } from "../refusals.js";

class DownloadButton extends HTMLElement {
  connectedCallback() {
    this.link = this.querySelector("a");
    this.link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.start();
    });
  }

  disconnectedCallback() {
    this.request?.abort();
  }

  async start() {
    if (this.request) return;
    this.request = new AbortController();
    this.showProgress();
    try {
      const answer = await fetch(this.link.href, { headers: inPageLanguage(), signal: this.request.signal });
      if (!answer.ok) throw await refusalOf(answer, `HTTP ${answer.status}`);
      const whole = Number(answer.headers.get("Content-Length"));
      const file = await this.read(answer, whole);
      const name = nameOf(answer) ?? new URL(this.link.href).pathname.split("/").at(-1);
      save(file, name);
      this.end(`${this.dataset.saysDone} ${name}`);
    } catch (error) {
      if (this.request.signal.aborted) this.end(this.dataset.saysCancelled);
      else this.end(error instanceof Refused ? error.message : this.dataset.saysLost, error.request, true);
    } finally {
      this.request = null;
    }
  }

  /** Read the body piece by piece; its length is not known where it comes packed. */
  async read(answer, whole) {
    const pieces = [];
    let have = 0;
    if (whole) this.bar.max = whole;
    for (const reader = answer.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      have += value.length;
      if (whole) this.bar.value = have;
      this.words.textContent = whole ? `${this.size(have)} ${this.dataset.saysOf} ${this.size(whole)}` : this.size(have);
    }
    return new Blob(pieces, { type: answer.headers.get("Content-Type") ?? "" });
  }

  showProgress() {
    this.querySelector(".outcome")?.remove();
    const box = document.createElement("span");
    box.className = "progress";
    this.bar = document.createElement("progress");
    this.bar.setAttribute("aria-label", this.dataset.saysProgress);
    this.words = document.createElement("span");
    this.words.className = "small number";
    this.words.textContent = this.dataset.saysPreparing;
    const cancel = document.createElement("button");
    cancel.type = "button";
    cancel.className = "quiet";
    cancel.textContent = this.dataset.saysCancel;
    cancel.addEventListener("click", () => this.request?.abort());
    box.append(this.bar, this.words, cancel);
    this.link.hidden = true;
    this.append(box);
    cancel.focus();
  }

  end(words, request = null, isWrong = false) {
    const hadFocus = this.contains(document.activeElement);
    this.querySelector(".progress")?.remove();
    this.link.hidden = false;
    if (hadFocus) this.link.focus();
    const outcome = document.createElement("p");
    outcome.className = isWrong ? "outcome problem small" : "outcome muted small";
    outcome.setAttribute("role", isWrong ? "alert" : "status");
    outcome.textContent = words;
    if (request) {
      const code = document.createElement("code");
      code.textContent = request;
      outcome.append(` ${this.dataset.saysRequest} `, code);
    }
    this.append(outcome);
  }

  size(bytes) {
    const unit = bytes < 1000 ? "byte" : bytes < 1e6 ? "kilobyte" : "megabyte";
    const count = bytes / { byte: 1, kilobyte: 1000, megabyte: 1e6 }[unit];
    const options = { style: "unit", unit, maximumSignificantDigits: 3 };
    return new Intl.NumberFormat(document.documentElement.lang, options).format(count);
  }
}

/** The name that the server gave the file (RFC 6266); the one in UTF-8 where there are two. */
function nameOf(answer) {
  const told = answer.headers.get("Content-Disposition") ?? "";
  const full = told.match(/filename\*=UTF-8''([^;]+)/i);
  return full ? decodeURIComponent(full[1]) : (told.match(/filename="([^"]+)"/)?.[1] ?? null);
}

function save(file, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.setAttribute("hx-boost", "false");
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

customElements.define("download-button", DownloadButton);
