// <shown-once>: a secret in a <pre>, with buttons that copy it or keep it as a file. They stay hidden
// where the browser can't: the clipboard is there by TLS and on localhost alone. The file is made
// here, since an address that held it would stay in the browser's history.

class ShownOnce extends HTMLElement {
  connectedCallback() {
    const text = this.querySelector("pre").textContent;
    const copy = this.querySelector("[data-copy]");
    if (copy && navigator.clipboard) {
      copy.hidden = false;
      copy.addEventListener("click", async () => {
        // The spaces between groups of a key are for reading.
        await navigator.clipboard.writeText("plain" in copy.dataset ? text.replaceAll(" ", "") : text);
        copy.querySelector("span").textContent = copy.dataset.copied;
      });
    }
    const download = this.querySelector("[data-download]");
    if (download) {
      download.hidden = false;
      download.addEventListener("click", () => {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/plain" }));
        link.download = download.dataset.download;
        link.click();
        URL.revokeObjectURL(link.href);
      });
    }
  }
}

customElements.define("shown-once", ShownOnce);
