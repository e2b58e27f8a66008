// <copy-text data-copied="Copied"><code>…</code><button type="button">Copy</button></copy-text>
// copies the text by the button, which style.css shows once this is loaded.

const SECONDS = 2;

class CopyText extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", this);
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
    this.removeEventListener("click", this);
  }

  async handleEvent({ target }) {
    const button = target.closest("button");
    if (!button) return;
    await navigator.clipboard.writeText(this.firstElementChild.textContent);
    const words = this.words ?? button.textContent;
    this.words = words;
    button.textContent = this.dataset.copied;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { button.textContent = words; }, SECONDS * 1000);
  }
}

// Browsers let scripts copy on safe connections alone.
if (navigator.clipboard) customElements.define("copy-text", CopyText);
