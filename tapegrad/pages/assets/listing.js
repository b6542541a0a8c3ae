// The listing: both sweeps, one row a moment. Only rows in sight are elements, so that long tapes open at once.

const ROW = 26; // pixels
const WIDTH = 15; // characters of an array
const BEYOND = 8; // rows above and below those in sight

class Listing {
  constructor(state, box, go) {
    this.state = state;
    this.box = box;
    this.go = go;
    this.rows = element("div", { class: "rows", role: "rowgroup" });
    this.head = element("div", { class: "head row", role: "row" }, ...this.cells(["", "forward sweep", "value", "partials",
      "adjoint", "finite diff.", "line"], "columnheader"));
    this.count = state.timeline.length + 1;
    box.setAttribute("aria-rowcount", this.count + 1);
    box.append(this.head, this.rows);
    box.classList.toggle("arrays", state.tape.data.types.some(({ shape }) => shape.length));
    this.rows.style.height = `${this.count * ROW}px`;
    box.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(box);
    this.rows.addEventListener("click", (event) => {
      const row = event.target.closest("[data-moment]");
      if (row) this.go(Number(row.dataset.moment));
    });
  }

  cells(texts, role = "cell") {
    const names = ["name", "formula", "value", "partials", "adjoint", "difference", "line"];
    return texts.map((text, k) => element("span", { role, class: names[k], title: text || undefined }, text));
  }

  // The row of a moment, and back; the heading of the reverse sweep has a row of its own.
  rowOf(moment) {
    return moment < this.state.timeline.seeding ? moment : moment + 1;
  }

  show() {
    reveal(this.box, this.rowOf(this.state.moment) * ROW, ROW);
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - BEYOND);
    const last = Math.min(this.count, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + BEYOND);
    const made = [];
    for (let row = first; row < last; row += 1) made.push(this.row(row));
    this.rows.replaceChildren(...made);
  }

  row(row) {
    const { timeline, moment } = this.state, heading = timeline.seeding;
    if (row === heading) {
      return this.placed(row, { class: "row heading" }, ["", "reverse sweep", "added", "factors", "adjoint", "", ""]);
    }
    const own = row < heading ? row : row - 1, event = timeline.at(own);
    const current = this.state.timeline.at(moment);
    const classes = ["row", event.sweep, own > moment ? "later" : ""];
    if (own === moment) classes.push("current");
    else if (event.sweep === "forward" && current.sweep !== "forward") {
      if (own === current.operand) classes.push("growing");
      else if (own === current.instruction) classes.push("giving");
    }
    const texts = event.sweep === "forward" ? this.instruction(own) : this.contribution(event, own);
    return this.placed(row, { class: classes.join(" "), "data-moment": own,
      "aria-current": own === moment ? "step" : undefined }, texts);
  }

  placed(row, attributes, texts) {
    const made = element("div", { ...attributes, role: "row", "aria-rowindex": row + 2 }, ...this.cells(texts));
    made.style.top = `${row * ROW}px`;
    return made;
  }

  instruction(slot) {
    const { tape, timeline, moment } = this.state;
    const shape = tape.type(slot).shape, kind = shape.length ? `  (${shape.join(", ")}${shape.length === 1 ? "," : ""})` : "";
    const formula = tape.formula(slot, nameOf) + kind, line = this.lineOf(slot);
    if (slot > moment) return [nameOf(slot), formula, "", "", "", "", line];
    const adjoint = timeline.adjoint(slot, moment);
    return [nameOf(slot), formula, this.text(slot), this.partials(slot), adjoint < 0 ? "" : this.text(adjoint),
      timeline.isFinal(slot, moment) ? this.state.differenceText(slot) : "", line];
  }

  partials(slot) {
    const found = partialsOf(this.state.tape, slot, (partial) => this.text(partial));
    return found.map(([operand, terms]) => `∂${nameOf(operand)}: ${terms.join(" + ")}`).join("  ");
  }

  contribution(event, own) {
    const { tape, moment } = this.state, { instruction, operand, place, added, total, before } = event;
    const seen = (slot) => (own <= moment ? this.text(slot) : "");
    if (event.sweep === "seed") return [nameOf(operand), "seed", seen(added), "", seen(total), "", ""];
    const partial = tape.partial(instruction, place), together = added === total && before >= 0;
    const factor = partial >= 0 ? `∂${nameOf(instruction)}/∂${nameOf(operand)}` : tape.op(instruction).name.replaceAll("_", " ");
    const factors = partial >= 0 && own <= moment ? `${this.text(partial)} × ${this.text(tape.adjoints[instruction])}` : "";
    return [nameOf(operand), `${factor} × adjoint ${nameOf(instruction)}`, together ? "" : seen(added), factors, seen(total), "",
      this.lineOf(instruction)];
  }

  text(slot) {
    return this.state.text(slot, WIDTH);
  }

  lineOf(slot) {
    const line = this.state.tape.line(slot);
    if (!line) return "";
    return this.state.tape.data.sources.length === 1 ? String(line.number) : `${line.file}:${line.number}`;
  }
}
