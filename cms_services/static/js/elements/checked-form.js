// A form that says what is wrong while it is filled in: it is sent to `data-check`, which answers
// the same form with problems and hints, and those of the fields that were touched are taken over.
// What is typed is never touched.

const PAUSE_MILLISECONDS = 350;

class CheckedForm extends HTMLElement {
  #touched = new Set();
  #left = null;
  #wanted = null;
  #asked = null;

  connectedCallback() {
    this.#left = new AbortController();
    const { signal } = this.#left;
    this.addEventListener("input", ({ target }) => this.#touch(target), { signal });
    // Whoever types fast began before this was loaded.
    for (const field of this.querySelectorAll("input, textarea")) {
      if (field.value !== field.defaultValue) this.#touch(field);
    }
  }

  disconnectedCallback() {
    clearTimeout(this.#wanted);
    this.#left.abort();
    this.#asked?.abort();
  }

  #touch(field) {
    this.#touched.add(field.name);
    clearTimeout(this.#wanted);
    this.#wanted = setTimeout(() => this.#check(), PAUSE_MILLISECONDS);
  }

  async #check() {
    this.#asked?.abort();
    this.#asked = new AbortController();
    const body = new URLSearchParams(new FormData(this.querySelector("form")));
    const { signal } = this.#asked;
    const answer = await fetch(this.dataset.check, { method: "POST", body, signal }).catch(() => null);
    const text = answer?.ok && (await answer.text().catch(() => null));
    if (!text) return;
    const page = new DOMParser().parseFromString(text, "text/html");
    for (const name of this.#touched) this.#takeOver(name, page);
  }

  #takeOver(name, page) {
    const [own, fresh] = [this, page].map((where) => where.querySelector(`.field [name="${name}"]`));
    if (!own || !fresh) return;
    for (const attribute of ["aria-invalid", "aria-describedby"]) {
      if (fresh.hasAttribute(attribute)) own.setAttribute(attribute, fresh.getAttribute(attribute));
      else own.removeAttribute(attribute);
    }
    const [ownField, freshField] = [own, fresh].map((input) => input.closest(".field"));
    for (const kind of [".hint", ".wrong"]) {
      const [before, after] = [ownField, freshField].map((field) => field.querySelector(kind));
      if (before?.textContent === after?.textContent) continue;
      if (!after) before.remove();
      else if (before) before.replaceWith(after);
      else ownField.append(after);
    }
  }
}

customElements.define("checked-form", CheckedForm);
