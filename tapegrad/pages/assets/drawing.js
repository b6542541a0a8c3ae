// The picture: boxes and arrows are lit, values and partials rewritten.

const LEAST_SCALE = 0.7; // a smaller picture could not be read: its box scrolls

// A text made narrower, where it is wider than there is room.
function squeeze(text, room) {
  text.removeAttribute("textLength");
  if (text.getComputedTextLength() <= room) return;
  text.setAttribute("textLength", String(room));
  text.setAttribute("lengthAdjust", "spacingAndGlyphs");
}

// The plate behind a text as wide as the text.
function widen(plate, text) {
  if (!plate) return;
  const width = text.getComputedTextLength() + 8, { x, width: before } = plate;
  plate.setAttribute("x", String(x.baseVal.value + (before.baseVal.value - width) / 2));
  plate.setAttribute("width", String(width));
}

class Drawing {
  constructor(state, box, go) {
    this.state = state;
    this.box = box;
    this.turns = new Turns(state.tape);
    this.svg = box.querySelector("svg");
    this.boxes = [...box.querySelectorAll("g.slot[data-slot]")].map((g) => this.boxOf(g));
    this.groups = [...box.querySelectorAll("g.group[data-first]")].map((g) => ({ g, first: Number(g.dataset.first),
      last: Number(g.dataset.last) }));
    this.arrows = [...box.querySelectorAll("g.arrow[data-to]")].map((g) => ({ g, from: Number(g.dataset.from),
      to: Number(g.dataset.to), place: Number(g.dataset.place), text: g.querySelector(".partial:not(.letter)") }));
    for (const found of this.boxes) found.g.addEventListener("click", () => go(found.now));
    new ResizeObserver(() => this.fit()).observe(box);
  }

  boxOf(g) {
    const slot = Number(g.dataset.slot), note = g.querySelector(":scope > .note");
    if (this.turns.isFolded(slot)) g.querySelector(":scope > title")?.remove(); // it tells of the first turn
    return { g, slot, now: slot, value: this.value(g), note,
      width: g.querySelector(":scope > .box")?.width.baseVal.value, type: note?.textContent.replace(/^v\d+/, "") };
  }

  // The picture as large as fits, if that can be read; else its box scrolls.
  fit() {
    const { width, height } = this.svg.viewBox.baseVal;
    const across = this.box.clientWidth / width, down = this.box.clientHeight / height;
    const scale = Math.min(1, Math.max(LEAST_SCALE, Math.min(across, down)));
    this.svg.style.maxWidth = "none";
    this.svg.style.width = `${Math.floor(width * scale)}px`;
    this.svg.style.height = "auto";
  }

  // The line of a box for its value and, behind it, its adjoint.
  value(g) {
    const line = g.querySelector(":scope > .value");
    if (!line) return null;
    const parts = [0, 1].map(() => document.createElementNS(line.namespaceURI, "tspan"));
    parts[1].setAttribute("class", "behind");
    line.replaceChildren(...parts);
    return parts;
  }

  show() {
    const { timeline, moment } = this.state, event = timeline.at(moment);
    for (const box of this.boxes) this.showBox(box, event, moment);
    const places = this.places(event);
    for (const arrow of this.arrows) this.showArrow(arrow, event, moment, places.get(arrow));
    byId("turn").textContent = this.turns.of(event.instruction)
      .map(([turn, turns]) => `turn ${turn.toLocaleString("en")} of ${turns.toLocaleString("en")}`).join(", ");
    this.showGroups(event);
    const lit = this.box.querySelector("g.is-growing, g.is-lit:not(.arrow)");
    if (lit) this.follow(lit);
  }

  showBox(box, event, moment) {
    const slot = this.turns.actual(box.slot, event.instruction), adjoint = this.state.timeline.adjoint(slot, moment);
    const { classList } = box.g;
    box.now = slot;
    classList.toggle("is-later", slot > moment);
    classList.toggle("is-lit", event.sweep === "forward" && this.isAbout(slot, event.instruction));
    classList.toggle("is-source", slot === event.instruction && event.sweep === "reverse");
    classList.toggle("is-growing", slot === event.operand);
    if (box.note) box.note.textContent = nameOf(slot) + box.type;
    if (!box.value) return;
    const texts = [slot <= moment ? this.state.text(slot, 18) : "", adjoint >= 0 ? `  ∂ ${this.state.text(adjoint, 18)}` : ""];
    if (texts.join() === box.written) return;
    box.written = texts.join();
    box.value.forEach((part, k) => { part.textContent = texts[k]; });
    squeeze(box.value[0].parentNode, box.width - 8);
  }

  // Is a box about an instruction: its own, or one that reads this constant, which is written in it?
  isAbout(slot, instruction) {
    const { tape } = this.state;
    if (tape.op(instruction).name !== "constant") return slot === instruction;
    return slot === instruction || tape.reads(slot).includes(instruction);
  }

  // Instructions that are counted in one box, where a tape is long.
  showGroups(event) {
    const holds = ({ first, last }, slot) => slot !== undefined && first <= slot && slot <= last
      && !this.boxes.some((box) => box.slot === slot);
    const [at, grows] = [event.instruction, event.operand].map((slot) => slot === undefined ? slot : this.turns.drawn(slot));
    for (const group of this.groups) {
      group.g.classList.toggle("is-lit", event.sweep === "forward" && holds(group, at));
      group.g.classList.toggle("is-source", event.sweep === "reverse" && holds(group, at));
      group.g.classList.toggle("is-growing", holds(group, grows));
    }
  }

  showArrow({ g, text }, event, moment, { to, place }) {
    const back = event.sweep !== "forward", partial = this.state.tape.partial(to, place);
    const lit = to === event.instruction && (!back || place === event.place);
    g.classList.toggle("is-lit", lit);
    g.classList.toggle("is-back", lit && back);
    g.classList.toggle("is-later", to > moment);
    const written = partial < 0 ? "" : this.state.text(partial, 14);
    if (!text || text.textContent === written) return;
    text.textContent = written;
    widen(g.querySelector(".pill"), text.closest("text"));
  }

  // For each arrow the instruction that reads and as which operand. Operands that commute may have changed places from
  // turn to turn: arrows from what is known to be read take its place, the others what is left and no constant.
  places(event) {
    const found = new Map(), left = new Map();
    for (const arrow of this.arrows) {
      const to = this.turns.actual(arrow.to, event.instruction);
      if (!left.has(arrow.to)) left.set(arrow.to, new Map(Array.from(this.state.tape.reads(to), (slot, k) => [k, slot])));
      const own = left.get(arrow.to), from = [this.turns.actual(arrow.from, event.instruction), arrow.from];
      const known = from.includes(own.get(arrow.place)) ? arrow.place : [...own.keys()].find((k) => from.includes(own.get(k)));
      found.set(arrow, { to, place: known });
      own.delete(known);
    }
    for (const [arrow, at] of found) {
      if (at.place !== undefined) continue;
      const own = left.get(arrow.to);
      const free = [...own.keys()].filter((k) => this.state.tape.op(own.get(k)).name !== "constant");
      at.place = free.includes(arrow.place) ? arrow.place : free[0] ?? arrow.place;
      own.delete(at.place);
    }
    return found;
  }

  // Scroll the picture, where it is larger than its box.
  follow(g) {
    const inner = g.getBoundingClientRect(), outer = this.box.getBoundingClientRect();
    if (inner.top < outer.top || inner.bottom > outer.bottom) {
      this.box.scrollTop += inner.top - outer.top - (outer.height - inner.height) / 2;
    }
    if (inner.left < outer.left || inner.right > outer.right) {
      this.box.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2;
    }
  }
}
