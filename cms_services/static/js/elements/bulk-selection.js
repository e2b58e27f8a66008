// Above services that can be selected: all of the page at once, how many are, and what can be done
// with them, which stays away until there is one. The names of checkboxes are those of their form.

class BulkSelection extends HTMLElement {
  #left = null;

  connectedCallback() {
    this.#left = new AbortController();
    const { signal } = this.#left;
    this.form.addEventListener("change", (event) => this.#choose(event.target), { signal });
    // What is new in the page leaves this as the server sent it.
    document.addEventListener("htmx:after:swap", () => this.#tell(), { signal });
    window.addEventListener("pageshow", () => this.#tell(), { signal });
    this.#tell();
  }

  disconnectedCallback() {
    this.#left.abort();
  }

  get form() {
    return this.closest("form");
  }

  #choose(changed) {
    if (changed.matches("[data-all]")) {
      for (const each of this.#boxes()) each.checked = changed.checked;
    }
    this.#tell();
  }

  #boxes() {
    return [...this.form.querySelectorAll('input[type="checkbox"][name="id"]')];
  }

  #tell() {
    const boxes = this.#boxes();
    const chosen = boxes.filter((each) => each.checked).length;
    const all = this.querySelector("[data-all]");
    all.checked = chosen > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
    all.closest("label").hidden = false;
    const count = this.querySelector("[data-count]");
    count.textContent = chosen ? this.dataset.saysSelected.replace("{count}", chosen) : count.dataset.says;
    this.querySelector(".actions").hidden = chosen === 0;
  }
}

customElements.define("bulk-selection", BulkSelection);
