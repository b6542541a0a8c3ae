// Fields for the arguments: numbers with sliders, small tables for small arrays.

const MOST_FIELDS = 100; // of one array

class Inputs {
  constructor(state, box, changed) {
    this.state = state;
    this.changed = changed;
    this.fields = [];
    const { tape } = state, reason = obstacle(tape);
    tape.data.inputs.forEach(({ slot, label }, place) => box.append(this.input(place, slot, label, reason)));
    if (reason) box.append(element("p", { class: "remark" }, `Inputs cannot be changed here: ${reason}.`));
    this.reset = element("button", { type: "button", class: "reset", disabled: true }, "Back to the recorded inputs");
    this.reset.addEventListener("click", () => this.restore());
    if (!reason) box.append(this.reset);
  }

  input(place, slot, label, reason) {
    const value = this.state.recorded[slot], type = this.state.tape.type(slot);
    const name = element("span", { class: "label" }, label);
    const many = size(type.shape) > MOST_FIELDS;
    if (reason || many || value.words) {
      const why = many && !reason ? ` (${counted(size(type.shape), "entry").replace("entrys", "entries")}: too many to change)` : "";
      return element("div", { class: "input" }, name, element("output", {}, shown(value, 60) + why));
    }
    if (!type.shape.length) return element("div", { class: "input" }, name, ...this.scalar(place, label, value));
    return element("div", { class: "input wide" }, name, this.table(place, label, value));
  }

  // A field, and a slider about the recorded value.
  scalar(place, label, value) {
    const field = this.field(place, 0, label, value), x = value.data[0];
    if (value.kind !== "f" || !Number.isFinite(x)) return [field];
    const reach = x === 0 ? 1 : Math.abs(x);
    const slider = element("input", { type: "range", min: x - 2 * reach, max: x + 2 * reach, step: reach / 50, value: x,
      "aria-label": `${label}, slider` });
    slider.addEventListener("input", () => {
      field.value = String(Number(slider.valueAsNumber.toPrecision(6)));
      this.read();
    });
    field.addEventListener("input", () => { slider.value = field.value; });
    this.fields.at(-1).slider = slider;
    return [field, slider];
  }

  table(place, label, value) {
    const columns = value.shape.at(-1), table = element("div", { class: "entries", role: "group", "aria-label": label });
    table.style.setProperty("--columns", String(Math.min(columns, 10)));
    value.data.forEach((_, k) => {
      table.append(this.field(place, k, `${label}[${unraveled(k, value.shape).join(", ")}]`, value));
    });
    return table;
  }

  // A field shows a few digits; as long as it is not touched it stands for the recorded number itself.
  field(place, k, label, value) {
    const exact = value.data[k], isFlag = value.kind === "b";
    const field = isFlag ? element("input", { type: "checkbox", "aria-label": label })
      : element("input", { type: "text", inputmode: "decimal", size: 8, spellcheck: "false", autocomplete: "off",
        "aria-label": label, title: String(exact), value: figure(exact, value.kind) });
    if (isFlag) field.checked = Boolean(exact);
    field.addEventListener("input", () => this.read());
    this.fields.push({ field, place, k, kind: value.kind, exact, untouched: field.value });
    return field;
  }

  // What is written in a field; nothing where it is no number of its kind.
  number({ field, kind, exact, untouched }) {
    if (kind === "b") return Number(field.checked);
    if (field.value === untouched) return exact;
    const text = field.value.trim().replace("−", "-").toLowerCase();
    const special = { nan: NaN, inf: Infinity, "+inf": Infinity, "-inf": -Infinity }[text];
    if (special !== undefined && kind === "f") return special;
    const found = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/.test(text) ? Number(text) : undefined;
    return kind === "i" && !Number.isSafeInteger(found) ? undefined : found;
  }

  read() {
    const { tape, recorded } = this.state;
    const inputs = tape.data.inputs.map(({ slot }) => ({ ...recorded[slot], data: recorded[slot].data.slice() }));
    let wrong = "";
    for (const entry of this.fields) {
      const found = this.number(entry);
      entry.field.setAttribute("aria-invalid", String(found === undefined));
      if (found === undefined) wrong ||= `“${entry.field.value}” is not a number for ${entry.field.getAttribute("aria-label")}.`;
      else inputs[entry.place].data[entry.k] = found;
    }
    this.reset.disabled = false;
    this.changed(inputs, wrong);
  }

  restore() {
    for (const { field, exact, untouched, kind, slider } of this.fields) {
      if (kind === "b") field.checked = Boolean(exact);
      else field.value = untouched;
      field.setAttribute("aria-invalid", "false");
      if (slider) slider.value = String(exact);
    }
    this.reset.disabled = true;
    this.changed(null, "");
  }
}
