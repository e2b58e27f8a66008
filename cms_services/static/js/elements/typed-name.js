// <typed-name data-name="…"> around a field: its form can be sent once the name was typed. The
// server asks for it all the same.

class TypedName extends HTMLElement {
  connectedCallback() {
    this.field = this.querySelector("input");
    this.button = this.closest("form").querySelector("button:not([type=button])");
    this.compare = () => { this.button.disabled = this.field.value !== this.dataset.name; };
    this.field.addEventListener("input", this.compare);
    this.compare();
  }

  disconnectedCallback() {
    this.field.removeEventListener("input", this.compare);
    this.button.disabled = false;
  }
}

customElements.define("typed-name", TypedName);
