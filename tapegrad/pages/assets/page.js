// The page: what the reader sees at a moment, for some inputs.

const PATIENCE = 80; // milliseconds
const TURN = 1200; // milliseconds a step takes when it plays

class State {
  constructor(data) {
    this.tape = new Tape(data);
    this.timeline = new Timeline(this.tape);
    this.recorded = recordedValues(this.tape);
    this.moment = 0;
    this.restore();
  }

  // The numbers that Python computed.
  restore() {
    this.values = this.recorded;
    this.problem = "";
    this.differences = new Array(this.tape.count);
    for (const [slot, entry, value, agrees] of this.tape.data.differences) {
      this.differences[slot] = { entry, value: Number(value), agrees };
    }
  }

  // All numbers for other inputs, or what keeps them from being computed.
  change(inputs) {
    try {
      this.proven ??= agree(this.tape, run(this.tape, this.recordedInputs()), this.recorded);
      if (!this.proven) throw new Refusal("this browser computes other numbers than Python for the recorded inputs");
      this.values = run(this.tape, inputs);
      const adjoints = Array.from(this.tape.adjoints, (slot) => (slot < 0 ? null : this.values[slot]));
      this.slots ??= affordableSlots(this.tape);
      this.differences = this.slots.length ? new Differences(this.tape, inputs, adjoints).all(this.slots) : [];
      this.problem = "";
    } catch (error) {
      this.problem = this.told(error);
    }
  }

  recordedInputs() {
    return this.tape.data.inputs.map(({ slot }) => this.recorded[slot]);
  }

  told(error) {
    if (error instanceof OtherBranch) {
      const line = this.tape.line(error.slot), where = line ? ` at ${line.file}:${line.number}` : "";
      return `With these inputs the function takes another branch: the test${where} comes out the other way. This tape does `
        + "not hold there; call explain with these inputs to see the one that does.";
    }
    if (error instanceof Refusal) return `For these inputs the page shows no numbers: ${error.message}.`;
    throw error;
  }

  // A slot's value in a few characters; none where the inputs have none.
  text(slot, width = 24) {
    return this.problem ? "–" : shown(this.values[slot], width);
  }

  differenceText(slot) {
    const found = this.differences[slot];
    if (!found || this.problem) return "";
    const place = found.entry.length ? ` at [${found.entry.join(", ")}]` : "";
    return (found.agrees || !Number.isFinite(found.value) ? "" : "≠ ") + figure(found.value) + place;
  }

  // How the finite differences compare.
  verdict() {
    const taken = this.problem ? [] : this.differences.filter((found) => found && Number.isFinite(found.value));
    const off = taken.filter((found) => !found.agrees).length, all = counted(taken.length, "adjoint");
    const words = [this.tape.data.remark];
    if (off) words.unshift(`finite differences differ (≠) from ${off} of ${all}: a kink, a selection, rounding, too coarse a step`);
    else if (taken.length) words.unshift(`finite differences agree with ${taken.length > 1 ? "all " : ""}${all}`);
    return words.filter(Boolean).join("; ");
  }
}

class Page {
  constructor(data) {
    this.state = new State(data);
    const go = (moment) => this.go(moment);
    this.parts = [new Listing(this.state, byId("listing"), go), new Drawing(this.state, byId("picture"), go),
      new Source(this.state, byId("source"))];
    this.words = new Words(this.state);
    this.inputs = new Inputs(this.state, byId("inputs"), (inputs, wrong) => this.change(inputs, wrong));
    this.player = null;
    this.slider = byId("moment");
    this.slider.max = String(this.state.timeline.length - 1);
    this.title();
    this.wire();
    this.show();
  }

  title() {
    const { name, inputs } = this.state.tape.data;
    const title = `${name}(${inputs.map(({ label }) => label).join(", ")})`;
    document.title = `${title} - tape`;
    byId("title").textContent = title;
  }

  wire() {
    const { timeline } = this.state, last = timeline.length - 1;
    const actions = { first: () => 0, back: (m) => m - 1, forward: (m) => m + 1, last: () => last };
    for (const [id, to] of Object.entries(actions)) {
      byId(id).addEventListener("click", () => this.step(to(this.state.moment)));
    }
    byId("play").addEventListener("click", () => this.play());
    this.slider.addEventListener("input", () => this.step(this.slider.valueAsNumber));
    document.addEventListener("keydown", (event) => {
      const keys = { ArrowLeft: actions.back, ArrowRight: actions.forward, Home: actions.first, End: actions.last };
      const own = event.target.matches("input, textarea, select") && event.target !== this.slider;
      if (own || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === " " && !event.target.matches("button, summary, input")) this.play();
      else if (event.key in keys) this.step(keys[event.key](this.state.moment));
      else return;
      event.preventDefault();
    });
  }

  // The reader's own step ends playing.
  step(moment) {
    this.stop();
    this.go(moment);
  }

  go(moment) {
    this.state.moment = Math.max(0, Math.min(this.state.timeline.length - 1, moment));
    this.show();
  }

  play() {
    if (this.player) {
      this.stop();
      return;
    }
    if (this.state.moment === this.state.timeline.length - 1) this.go(0);
    this.playing(true);
    this.player = setInterval(() => {
      this.go(this.state.moment + 1);
      if (this.state.moment === this.state.timeline.length - 1) this.stop();
    }, TURN);
  }

  stop() {
    clearInterval(this.player);
    this.player = null;
    this.playing(false);
  }

  playing(on) {
    byId("play").classList.toggle("playing", on);
    byId("play").setAttribute("aria-label", on ? "Pause" : "Play");
  }

  // Where computing takes long, a slider that moves is followed at its rests.
  change(inputs, wrong) {
    clearTimeout(this.waiting);
    if (wrong || !inputs || !(this.took > PATIENCE)) this.follow(inputs, wrong);
    else this.waiting = setTimeout(() => this.follow(inputs, wrong), 2 * PATIENCE);
  }

  follow(inputs, wrong) {
    const start = performance.now();
    if (wrong) this.state.problem = wrong;
    else if (inputs) this.state.change(inputs);
    else this.state.restore();
    if (inputs && !wrong) this.took = performance.now() - start;
    this.show();
  }

  show() {
    const { state } = this, { moment, timeline, problem } = state, event = timeline.at(moment);
    const back = event.sweep !== "forward";
    document.body.classList.toggle("back", back);
    document.body.classList.toggle("invalid", Boolean(problem));
    this.slider.value = String(moment);
    const where = `step ${(moment + 1).toLocaleString("en")} of ${timeline.length.toLocaleString("en")}`;
    byId("where").textContent = `${back ? "reverse" : "forward"} sweep, ${where}`;
    this.slider.setAttribute("aria-valuetext", byId("where").textContent);
    for (const [id, off] of [["first", moment === 0], ["back", moment === 0], ["forward", moment === timeline.length - 1],
      ["last", moment === timeline.length - 1]]) byId(id).setAttribute("aria-disabled", String(off));
    byId("problem").textContent = problem;
    byId("remark").textContent = state.verdict();
    this.tell(moment);
    this.result();
    for (const part of this.parts) part.show();
  }

  tell(moment) {
    if (this.state.problem) {
      byId("sentence").replaceChildren();
      byId("notes").replaceChildren();
      return;
    }
    const { sentence, notes } = this.words.at(moment);
    byId("sentence").replaceChildren(...sentence.map(([text, style]) => element("span", { class: style }, text)));
    byId("notes").replaceChildren(...notes.map((text) => element("p", {}, text)));
  }

  result() {
    const slots = this.state.tape.data.results.map(([slot]) => slot);
    byId("result").textContent = `= ${slots.slice(0, 3).map((slot) => this.state.text(slot)).join(", ")}`;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  window.page = new Page(JSON.parse(byId("data").textContent));
});
