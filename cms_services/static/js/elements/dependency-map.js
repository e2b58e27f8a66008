// The dependency map: laid out by dagre in a worker, drawn as SVG. Choosing a service shows all that breaks if
// it stops, and all that it needs. The table below the map says the same without a script.

const SVG = "http://www.w3.org/2000/svg";
const NODE = { width: 232, height: 54 };
const MARGIN = 16;
const ZOOM_STEP = 1.25;
// A map that would be smaller than readable as a whole begins with a part of it.
const SCALES = { least: 0.08, most: 3, whole: 1.25, readable: 0.45, part: 0.85 };
const SETTLE_MILLISECONDS = 500;
// Where the layout is kept for as long as the tab is open.
const KEPT = "dependency-map";
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function draw(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function write(name, className, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** All that can be come to from a node, the nearest first, without the node itself. */
function reached(from, neighbours) {
  const found = new Set([from]);
  for (const each of found) {
    for (const next of neighbours.get(each) ?? []) found.add(next);
  }
  found.delete(from);
  return [...found];
}

/** A soft line through the points that the layout gives. */
function lineThrough(points) {
  const [first, ...rest] = points;
  const last = rest.pop();
  let path = `M${first.x} ${first.y}`;
  rest.forEach((point, number) => {
    const next = rest[number + 1] ?? last;
    const end = number === rest.length - 1 ? last : { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 };
    path += `Q${point.x} ${point.y} ${end.x} ${end.y}`;
  });
  return rest.length ? path : `${path}L${last.x} ${last.y}`;
}

customElements.define("dependency-map", class extends HTMLElement {
  #words = {};
  #icons = {};
  #nodes = new Map();
  #needs = new Map();
  #dependants = new Map();
  #shape = "";
  #tag = null;
  #svg = null;
  #boxes = new Map();
  #view = { x: 0, y: 0, scale: 1 };
  #size = { width: 0, height: 0 };
  #chosen = null;
  #soon = null;
  #ruler = document.createElement("canvas").getContext("2d");
  #font = "";
  #page = null;
  #worker = null;
  // One look after the other, since each draws.
  #turn = Promise.resolve();
  #follow = (event) => {
    const id = event.target.closest("a[data-service]")?.dataset.service;
    if (!this.#boxes.has(id) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.#choose(id);
    this.#show(id);
    this.#boxOf(id).focus({ preventScroll: true });
    this.scrollIntoView({ block: "nearest" });
  };
  #hear = () => {
    this.#soon ??= setTimeout(() => {
      this.#soon = null;
      // What was seen last stays where there is no connection.
      if (!document.hidden) this.#turn = this.#turn.then(() => this.#look()).catch(() => null);
    }, SETTLE_MILLISECONDS);
  };

  async connectedCallback() {
    this.#words = JSON.parse(this.dataset.words);
    this.#icons = JSON.parse(this.dataset.icons);
    this.#chosen = this.dataset.chosen || null;
    this.#font = getComputedStyle(this).fontFamily;
    // What stands in it may not have been read yet.
    this.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-zoom]");
      if (button) this.#press(button.dataset.zoom);
    });
    // Names beside the map choose in it, and lead nowhere.
    this.#page = this.closest("main");
    this.#page.addEventListener("click", this.#follow, { capture: true });
    document.addEventListener("cms:event", this.#hear);
    document.addEventListener("visibilitychange", this.#hear);
    try {
      // What the page brought along spares asking for it.
      this.#turn = this.#take(JSON.parse(document.getElementById("map-data").textContent));
      await this.#turn;
    } catch {
      this.append(write("p", "caution", this.dataset.saysFailed));
    }
  }

  disconnectedCallback() {
    this.#page.removeEventListener("click", this.#follow, { capture: true });
    document.removeEventListener("cms:event", this.#hear);
    document.removeEventListener("visibilitychange", this.#hear);
    clearTimeout(this.#soon);
    this.#worker?.terminate();
  }

  // --- what there is ---

  async #look() {
    const headers = { Accept: "application/json", ...(this.#tag && { "If-None-Match": this.#tag }) };
    const answer = await fetch(this.dataset.source, { headers, cache: "no-store" });
    if (answer.status === 304) return;
    if (!answer.ok) throw new Error(answer.status);
    this.#tag = answer.headers.get("ETag");
    await this.#take((await answer.json()).data);
  }

  async #take({ nodes, edges }) {
    const order = new Map(nodes.map((node, number) => [node.serviceId, number]));
    const byName = (ids) => ids.sort((a, b) => order.get(a) - order.get(b));
    this.#needs = Map.groupBy(edges, (edge) => edge.dependant);
    this.#dependants = Map.groupBy(edges, (edge) => edge.needed);
    for (const [neighbours, end] of [[this.#needs, "needed"], [this.#dependants, "dependant"]]) {
      for (const [id, found] of neighbours) neighbours.set(id, byName(found.map((edge) => edge[end])));
    }
    const connected = nodes.filter((node) => this.#needs.has(node.serviceId) || this.#dependants.has(node.serviceId)
      || node.missing.length || node.hiddenDependants);
    this.#nodes = new Map(connected.map((node) => [node.serviceId, node]));
    // A changed status moves nothing.
    const shape = JSON.stringify([connected.map((node) => [node.serviceId, node.name]), edges]);
    if (shape !== this.#shape) {
      const layout = await this.#layoutOf(connected, edges, shape);
      this.#shape = shape;
      this.#draw(connected, edges, layout);
    } else {
      for (const node of connected) this.#dress(node);
    }
    this.#choose(this.#nodes.has(this.#chosen) ? this.#chosen : null, { isAsked: false });
  }

  // --- drawing ---

  /** Where all is put, as this tab knows it from before, else as the worker finds it. */
  async #layoutOf(nodes, edges, shape) {
    const kept = JSON.parse(sessionStorage.getItem(KEPT));
    if (kept?.shape === shape) return kept.layout;
    const layout = await new Promise((resolve, reject) => {
      this.#worker ??= new Worker(new URL("../map-layout.js", import.meta.url));
      this.#worker.onmessage = ({ data }) => resolve(data);
      this.#worker.onerror = reject;
      const ends = edges.map(({ dependant, needed }) => [dependant, needed]);
      this.#worker.postMessage({ ids: nodes.map((node) => node.serviceId), ends, node: NODE, margin: MARGIN });
    });
    try {
      sessionStorage.setItem(KEPT, JSON.stringify({ shape, layout }));
    } catch {
      // There is no room: it is found anew the next time.
    }
    return layout;
  }

  #draw(nodes, edges, { places, lines: points, size }) {
    const lines = edges.map((edge, number) => draw("path", {
      class: edge.declared ? "edge" : "edge reference",
      d: lineThrough(points[number]),
      "marker-end": "url(#map-arrow)",
      "data-from": edge.dependant,
      "data-to": edge.needed,
    }));
    this.#boxes = new Map(nodes.map((node, number) => [node.serviceId, this.#box(node, places[number])]));
    for (const node of nodes) this.#dress(node);
    this.#size = size;
    const arrow = draw("marker", { id: "map-arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" },
      draw("path", { class: "arrow", d: "M0 0L8 4L0 8z" }));
    const svg = draw("svg", { class: "map", role: "group", "aria-label": this.dataset.saysMap },
      draw("defs", {}, arrow), draw("g", { class: "map-content" }, ...lines, ...this.#boxes.values()));
    const hadFocus = document.activeElement?.closest?.(".map .node")?.dataset.id;
    if (this.#svg) this.#svg.replaceWith(svg);
    else this.prepend(svg);
    this.#svg = svg;
    for (const each of this.querySelectorAll("[hidden]")) each.hidden = false;
    this.#listen();
    const first = this.#nodes.has(this.#chosen) ? this.#chosen : this.#worst(nodes);
    this.#begin(first);
    this.#rove(first);
    if (hadFocus) this.#boxOf(hadFocus)?.focus();
  }

  #worst(nodes) {
    const gravity = Object.keys(this.#words);
    return nodes.toSorted((a, b) => gravity.indexOf(a.state) - gravity.indexOf(b.state))[0]?.serviceId;
  }

  #box(node, { x, y }) {
    const { width, height } = NODE;
    const box = draw("g", { class: "node", role: "button", tabindex: -1, "data-id": node.serviceId,
      transform: `translate(${x - width / 2} ${y - height / 2})` });
    box.place = { x, y };
    return box;
  }

  /** What of a node changes with its state. */
  #dress(node) {
    const { width, height } = NODE;
    const { dataset } = this;
    const box = this.#boxOf(node.serviceId);
    const state = this.#words[node.state];
    const stopped = node.status === "active" || node.status === node.state ? null : this.#words[node.status];
    const more = [state, stopped, this.dataset.project ? null : node.project].filter(Boolean).join(" · ");
    box.setAttribute("aria-label", `${node.name}, ${this.#words[node.type]}, ${state}, ${this.#words[node.status]}`);
    box.classList.remove(box.dataset.state);
    box.dataset.state = node.state;
    box.classList.add(node.state);
    box.replaceChildren(
      draw("title", {}, `${node.name}\n${this.#words[node.type]} · ${more}`),
      draw("rect", { class: "box", width, height, rx: 8 }),
      draw("rect", { class: "edge-of-box", width: 6, height: height - 16, x: 6, y: 8, rx: 3 }),
      draw("use", { class: "type icon", href: `${dataset.iconFile}#${this.#icons[node.type]}`, x: 20, y: 9, width: 16, height: 16 }),
      draw("text", { class: "name", x: 43, y: 22 }, this.#fitting(node.name, width - 43 - 12, 14)),
      draw("use", { class: "state", href: `${dataset.shapeFile}#${node.state}`, x: 21, y: 31, width: 14, height: 14 }),
      draw("text", { class: "more", x: 43, y: 42 }, this.#fitting(more, width - 41 - 12, 11.5)),
    );
  }

  /** As much of a text as a width takes; the title has all of it. */
  #fitting(text, width, size) {
    this.#ruler.font = `600 ${size}px ${this.#font}`;
    if (this.#ruler.measureText(text).width <= width) return text;
    let length = Math.ceil(text.length * width / this.#ruler.measureText(text).width);
    while (length > 1 && this.#ruler.measureText(`${text.slice(0, length)}…`).width > width) length -= 1;
    return `${text.slice(0, length).trimEnd()}…`;
  }

  #boxOf(id) {
    return this.#boxes.get(id);
  }

  // --- choosing ---

  #choose(id, { isAsked = true } = {}) {
    this.#chosen = id;
    const breaks = new Set(id ? reached(id, this.#dependants) : []);
    const needs = new Set(id ? reached(id, this.#needs) : []);
    this.#svg.classList.toggle("has-chosen", Boolean(id));
    for (const box of this.#boxes.values()) {
      const own = box.dataset.id;
      box.classList.toggle("chosen", own === id);
      box.classList.toggle("breaks", breaks.has(own));
      box.classList.toggle("needed", needs.has(own));
      box.setAttribute("aria-pressed", String(own === id));
    }
    for (const line of this.#svg.querySelectorAll(".edge[data-from]")) {
      const { from, to } = line.dataset;
      line.classList.toggle("breaks", breaks.has(from) && (to === id || breaks.has(to)));
      line.classList.toggle("needed", needs.has(to) && (from === id || needs.has(from)));
    }
    if (id) this.#rove(id);
    if (isAsked || id) this.#tell(id, [...breaks], [...needs]);
    if (isAsked) {
      const address = new URL(location.href);
      if (id) address.searchParams.set("service", id);
      else address.searchParams.delete("service");
      history.replaceState(history.state, "", address);
    }
  }

  #tell(id, breaks, needs) {
    const panel = document.getElementById("map-chosen");
    const says = this.dataset;
    const node = this.#nodes.get(id);
    panel.querySelector("[data-unchosen]").hidden = Boolean(node);
    const told = panel.querySelector("[data-chosen]");
    // Read aloud as far as it says how much there is to read.
    panel.querySelector("[data-summary]").textContent = node
      ? `${node.name}. ${says.saysBreaks}: ${breaks.length}. ${says.saysNeeds}: ${needs.length}.` : "";
    if (!node) {
      told.replaceChildren();
      return;
    }
    const open = write("a", "button quiet", says.saysOpen);
    open.href = says.servicePage.replace(/-$/, encodeURIComponent(id));
    told.replaceChildren(
      write("div", "head", write("h2", node.state, this.#shapeOf(node), ` ${node.name}`), open),
      ...this.#list(says.saysBreaks, breaks, new Set(this.#dependants.get(id)),
        node.hiddenDependants ? [`${says.saysHidden}: ${node.hiddenDependants}`] : []),
      ...this.#list(says.saysNeeds, needs, new Set(this.#needs.get(id)), node.missing.map((name) => `${name} (${says.saysMissing})`)),
    );
    htmx.process(told);
  }

  #list(title, ids, nearest, more) {
    const heading = write("h3", "", `${title} `, write("span", "number", String(ids.length)));
    const items = ids.map((id) => {
      const node = this.#nodes.get(id);
      const choose = write("a", "", node.name);
      choose.href = `?${new URLSearchParams({ ...(this.dataset.project && { project: this.dataset.project }), service: id })}`;
      choose.dataset.service = id;
      const far = nearest.has(id) ? "" : ` · ${this.dataset.saysIndirectly}`;
      return write("li", node.state, this.#shapeOf(node), " ", choose, " ", write("span", "muted", this.#words[node.state] + far));
    });
    const list = ids.length ? write("ol", "plain", ...items) : write("p", "muted", this.dataset.saysNothing);
    return [heading, list, ...more.map((text) => write("p", "muted", text))];
  }

  #shapeOf({ state }) {
    return draw("svg", { class: "shape", "aria-hidden": "true" }, draw("use", { href: `${this.dataset.shapeFile}#${state}` }));
  }

  // --- moving about ---

  #listen() {
    const svg = this.#svg;
    let grip = null;
    svg.addEventListener("pointerdown", (event) => {
      if (event.button === 0) grip = { x: event.clientX, y: event.clientY, isDrag: false };
    });
    svg.addEventListener("pointermove", (event) => {
      if (!grip) return;
      const [x, y] = [event.clientX - grip.x, event.clientY - grip.y];
      if (!grip.isDrag && Math.hypot(x, y) < 5) return;
      if (!grip.isDrag) svg.setPointerCapture(event.pointerId);
      grip = { x: event.clientX, y: event.clientY, isDrag: true };
      this.#pan(x, y);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      svg.addEventListener(end, () => {
        const wasDrag = grip?.isDrag;
        grip = null;
        if (wasDrag) svg.addEventListener("click", (event) => event.stopPropagation(), { capture: true, once: true });
      });
    }
    svg.addEventListener("click", (event) => {
      const id = event.target.closest(".node")?.dataset.id ?? null;
      this.#choose(id === this.#chosen ? null : id);
      if (id) this.#boxOf(id).focus({ preventScroll: true });
    });
    svg.addEventListener("wheel", (event) => {
      // Elsewhere the wheel moves the page, past the map too.
      if (!event.ctrlKey && !this.contains(document.activeElement)) return;
      event.preventDefault();
      const place = svg.getBoundingClientRect();
      this.#zoom(event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP, event.clientX - place.x, event.clientY - place.y);
    }, { passive: false });
    svg.addEventListener("keydown", (event) => this.#key(event));
    svg.addEventListener("focusin", (event) => {
      const id = event.target.closest(".node")?.dataset.id;
      if (id) this.#rove(id);
    });
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const id = event.target.closest(".node")?.dataset.id;
    const arrow = ARROWS[event.key];
    const zoom = { "+": "in", "=": "in", "-": "out", 0: "fit" }[event.key];
    if (arrow && event.shiftKey) this.#pan(-60 * arrow[0], -60 * arrow[1]);
    else if (arrow && id) this.#step(id, arrow);
    else if (zoom) this.#press(zoom);
    else if ((event.key === "Enter" || event.key === " ") && id) this.#choose(id === this.#chosen ? null : id);
    else if (event.key === "Escape" && this.#chosen) this.#choose(null);
    else return;
    event.preventDefault();
  }

  /** The nearest node in a direction gets the focus; what lies aside counts as farther away. */
  #step(id, [right, down]) {
    const from = this.#boxOf(id).place;
    let best = null;
    let least = Infinity;
    for (const box of this.#boxes.values()) {
      const [x, y] = [box.place.x - from.x, box.place.y - from.y];
      const ahead = x * right + y * down;
      const distance = ahead + 2 * Math.abs(x * down + y * right);
      if (ahead > 1 && distance < least) [best, least] = [box, distance];
    }
    if (!best) return;
    this.#show(best.dataset.id);
    best.focus({ preventScroll: true });
  }

  /** One node can be come to by Tab; from there arrows go on. */
  #rove(id) {
    for (const box of this.#boxes.values()) box.setAttribute("tabindex", -1);
    if (id) this.#boxOf(id)?.setAttribute("tabindex", 0);
  }

  #press(zoom) {
    const { width, height } = this.#svg.getBoundingClientRect();
    if (zoom === "fit") this.#center({ x: this.#size.width / 2, y: this.#size.height / 2 }, this.#wholeScale());
    else this.#zoom(zoom === "in" ? ZOOM_STEP : 1 / ZOOM_STEP, width / 2, height / 2);
  }

  /** The whole map where it can be read, else the part of it around a node. */
  #begin(id) {
    if (this.#wholeScale() >= SCALES.readable) this.#press("fit");
    else this.#center(this.#boxOf(id).place, SCALES.part);
  }

  #wholeScale() {
    const { width, height } = this.#svg.getBoundingClientRect();
    return Math.min(width / this.#size.width, height / this.#size.height, SCALES.whole);
  }

  #center(place, scale) {
    const { width, height } = this.#svg.getBoundingClientRect();
    this.#move({ scale, x: width / 2 - place.x * scale, y: height / 2 - place.y * scale });
  }

  #zoom(factor, x, y) {
    const scale = Math.min(SCALES.most, Math.max(SCALES.least, this.#view.scale * factor));
    const grown = scale / this.#view.scale;
    this.#move({ scale, x: x - (x - this.#view.x) * grown, y: y - (y - this.#view.y) * grown });
  }

  #pan(x, y) {
    this.#move({ ...this.#view, x: this.#view.x + x, y: this.#view.y + y });
  }

  /** Bring a node into the window. */
  #show(id) {
    const { place } = this.#boxOf(id);
    const { scale, x, y } = this.#view;
    const { width, height } = this.#svg.getBoundingClientRect();
    const beyond = (at, half, length) => Math.max(0, half - at) - Math.max(0, at + half - length);
    this.#pan(
      beyond(place.x * scale + x, (NODE.width / 2 + MARGIN) * scale, width),
      beyond(place.y * scale + y, (NODE.height / 2 + MARGIN) * scale, height),
    );
  }

  #move(view) {
    this.#view = view;
    this.#svg.querySelector(".map-content").setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
  }
});
