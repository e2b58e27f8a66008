// <secret-value data-place data-url>: shows one stored secret to who may see it, for 30 seconds. The
// audit trail keeps that it was shown.

import { Refused, inPageLanguage, refusalOf } from "../refusals.js";
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
    try {
      const answer = await fetch(this.dataset.url, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json", ...inPageLanguage() },
        body: JSON.stringify({ path: this.dataset.place }),
      });
      if (!answer.ok) throw await refusalOf(answer, this.dataset.saysFailed);
      this.output.textContent = (await answer.json()).data.value;
    } catch (error) {
      const { message, request } = error instanceof Refused ? error : new Refused(this.dataset.saysFailed);
      say(message, { request, isWrong: true });
      return;
    }
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
