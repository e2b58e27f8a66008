// <secret-value data-place data-url>: shows one stored secret to who may see it, for 30 seconds. The
// audit trail keeps that it was shown.

import { say } from "../toasts.js";

const SHOWN_MILLISECONDS = 30_000;

class SecretValue extends HTMLElement {
  connectedCallback() {
    if (this.button) return;
    this.button = this.querySelector("button");
    this.output = this.querySelector("output");
    this.button.addEventListener("click", () => (this.output.hidden ? this.reveal() : this.hide()));
  }

  disconnectedCallback() {
    this.hide();
  }

  async reveal() {
    const answer = await fetch(this.dataset.url, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ path: this.dataset.place }),
    }).catch(() => null);
    const told = await answer?.json().catch(() => null);
    if (!answer?.ok || !told) {
      say(told?.error?.message ?? this.dataset.saysFailed, { request: answer?.headers.get("X-Request-ID"), isWrong: true });
      return;
    }
    this.output.textContent = told.data.value;
    this.show(true);
    this.timer = setTimeout(() => this.hide(), SHOWN_MILLISECONDS);
  }

  hide() {
    clearTimeout(this.timer);
    this.output.textContent = "";
    this.show(false);
  }

  show(isShown) {
    this.output.hidden = !isShown;
    this.button.setAttribute("aria-pressed", String(isShown));
  }
}

customElements.define("secret-value", SecretValue);
