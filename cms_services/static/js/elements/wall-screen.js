// The monitoring wall: it fills the screen, and says when it last heard of anything, since a wall
// that shows the past without saying so is worse than none.

import { lookAgain } from "../live.js";

// Results go out of date without an event that tells of it.
const LOOK_MILLISECONDS = 30_000;
const LOST_MILLISECONDS = 90_000;

customElements.define("wall-screen", class extends HTMLElement {
  #looks = null;
  #heardAt = Date.now();
  #hear = () => {
    this.#heardAt = Date.now();
    this.#tell();
  };

  connectedCallback() {
    const button = this.querySelector("[data-screen]");
    button.hidden = !document.fullscreenEnabled;
    button.addEventListener("click", () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else this.requestFullscreen();
    });
    document.addEventListener("cms:looked", this.#hear);
    this.#looks = setInterval(() => {
      this.#tell();
      lookAgain();
    }, LOOK_MILLISECONDS);
    this.#hear();
  }

  disconnectedCallback() {
    document.removeEventListener("cms:looked", this.#hear);
    clearInterval(this.#looks);
  }

  #tell() {
    const seen = this.querySelector(".wall-seen");
    const isLost = Date.now() - this.#heardAt > LOST_MILLISECONDS;
    seen.hidden = false;
    seen.classList.toggle("lost", isLost);
    seen.querySelector("span").textContent = isLost ? this.dataset.saysLost : this.dataset.saysSeen;
    const time = seen.querySelector("time");
    time.dateTime = new Date(this.#heardAt).toISOString();
    time.textContent = new Date(this.#heardAt).toLocaleTimeString(document.documentElement.lang);
  }
});
