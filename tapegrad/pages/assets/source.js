// The user's own source text; the line that recorded the current instruction is lit.

class Source {
  constructor(state, box) {
    this.state = state;
    this.box = box;
    this.rows = new Map();
    state.tape.data.sources.forEach(({ name, parts }, source) => {
      box.append(element("h3", {}, name));
      for (const { first, lines } of parts) box.append(this.part(source, name, first, lines));
    });
    box.closest("section").hidden = !state.tape.data.sources.length;
  }

  part(source, name, first, lines) {
    const list = element("ol", { start: first, "aria-label": name });
    lines.forEach((text, k) => {
      const row = element("li", { value: first + k }, element("span", { class: "number" }, String(first + k)),
        element("code", {}, text || " "));
      this.rows.set(`${source}:${first + k}`, row);
      list.append(row);
    });
    return list;
  }

  show() {
    const event = this.state.timeline.at(this.state.moment), line = this.state.tape.line(event.instruction);
    this.lit?.classList.remove("lit", "back");
    this.lit?.removeAttribute("aria-current");
    this.lit = line && this.rows.get(`${line.source}:${line.number}`);
    if (!this.lit) return;
    this.lit.classList.add("lit");
    this.lit.classList.toggle("back", event.sweep !== "forward");
    this.lit.setAttribute("aria-current", "true");
    reveal(this.box, this.lit.offsetTop, this.lit.offsetHeight);
  }
}
