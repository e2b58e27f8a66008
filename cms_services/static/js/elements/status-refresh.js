// A public status page keeps up by asking now and then: strangers have no stream of events.

import { lookAgain } from "../live.js";

const MILLISECONDS = 60_000;

customElements.define("status-refresh", class extends HTMLElement {
  #looks = null;
  #wake = () => document.hidden || lookAgain();

  connectedCallback() {
    this.#looks = setInterval(this.#wake, MILLISECONDS);
    document.addEventListener("visibilitychange", this.#wake);
  }

  disconnectedCallback() {
    clearInterval(this.#looks);
    document.removeEventListener("visibilitychange", this.#wake);
  }
});
