// What happens at a moment, in words: a list of [text, class] for the sentence, and plain texts beneath it.

const MOST_NAMED = 8; // parts of a gradient
const MOST_ENTRIES = 24; // of an array that is written out

class Words {
  constructor(state) {
    this.state = state;
    this.tape = state.tape;
  }

  at(moment) {
    const event = this.state.timeline.at(moment);
    const found = this[event.sweep](event);
    if (moment === this.state.timeline.length - 1) found.notes.push(...this.gradient());
    return found;
  }

  // A value as a factor or an operand: in brackets where it would be misread.
  bracketed(text) {
    return text.startsWith("-") || (text.includes(" ") && !text.startsWith("[")) ? `(${text})` : text;
  }

  value(slot) {
    return shown(this.state.values[slot]);
  }

  forward({ instruction: slot }) {
    const name = [nameOf(slot), "slot"], value = [this.value(slot), "value"], op = this.tape.op(slot).name;
    const place = this.tape.places.get(slot);
    if (place !== undefined) {
      return { sentence: [name, [" is the argument ", ""], [this.tape.data.inputs[place].label, "label"], [" = ", ""], value],
        notes: ["The forward sweep starts from the arguments."] };
    }
    if (op === "constant") return { sentence: [name, [" is the constant ", ""], value], notes: [] };
    const formula = this.tape.formula(slot, nameOf);
    if (op === "guard") {
      return { sentence: [["The function tests a value here: ", ""], [formula, "slot"]],
        notes: ["This tape holds as long as the test comes out as it did: another outcome is another branch."] };
    }
    const infix = this.tape.isInfix(slot);
    const numbers = this.tape.formula(slot, (s) => (infix ? this.bracketed(this.value(s)) : this.value(s)));
    return { sentence: [name, [" = ", ""], [formula, "slot"], [" = ", ""], [numbers, ""], [" = ", ""], value],
      notes: [...this.partials(slot), ...this.entries(nameOf(slot), slot)] };
  }

  // All entries of a small array, where the sentence has not room for them.
  entries(name, slot) {
    const value = this.state.values[slot];
    if (value.words || value.data.length < 2 || value.data.length > MOST_ENTRIES) return [];
    const texts = [...value.data].map((x) => figure(x, value.kind, 4));
    return [`${name} = ${listed(value.shape, texts)}`];
  }

  // The partials of an instruction; an operand that is read twice has two, which are added.
  partials(slot) {
    const found = partialsOf(this.tape, slot, (partial) => this.value(partial));
    if (!found.length) return [];
    const sum = (terms) => (terms.length > 1 ? terms.map((text) => this.bracketed(text)).join(" + ") : terms[0]);
    const texts = found.map(([operand, terms]) => `∂${nameOf(slot)}/∂${nameOf(operand)} = ${sum(terms)}`);
    return [`Partial derivatives: ${texts.join(", ")}`];
  }

  seed({ operand: slot, added }) {
    const one = this.value(added) === "1";
    const results = this.state.timeline.results.length;
    return { sentence: [["The reverse sweep starts from the result: the adjoint of ", ""], [nameOf(slot), "slot"],
      [" is ", ""], [this.value(added), "adjoint"]],
    notes: [results === 1 && one
      ? `An adjoint is the derivative of the result by a value; that of the result by itself is 1.`
      : "An adjoint is the derivative of the results, each times its seed, by a value; it starts with the seed."] };
  }

  reverse(step) {
    const { instruction, operand, place, total, before } = step;
    const partial = this.tape.partial(instruction, place);
    const head = [["The adjoint of ", ""], [nameOf(operand), "slot"]];
    if (before < 0) head.push([" starts with ", ""]);
    else head.push([", so far ", ""], [this.value(before), "adjoint"], [", grows by ", ""]);
    const end = before < 0 ? [] : [[", to ", ""], [this.value(total), "adjoint"]];
    return { sentence: [...head, ...this.added(step, partial), ...end],
      notes: [`${nameOf(instruction)} = ${this.tape.formula(instruction, nameOf)}${this.sensitivity(step, partial)}`,
        ...this.entries(`adjoint of ${nameOf(operand)}`, total)] };
  }

  // What a step adds: the partial times the adjoint of the result, or what flows back through the instruction.
  added({ instruction, operand, place, added, total, before }, partial) {
    const own = this.tape.adjoints[instruction], value = [this.value(added), before < 0 ? "adjoint" : "value"];
    const through = [`what flows back through ${this.tape.op(instruction).name.replaceAll("_", " ")}`, ""];
    if (added === total && before >= 0) return [through]; // it was added in place
    if (partial < 0) return [through, [" = ", ""], value];
    const which = this.isRepeated(instruction, operand) ? ` (operand ${place + 1})` : "";
    const names = `∂${nameOf(instruction)}/∂${nameOf(operand)}${which} × adjoint of ${nameOf(instruction)}`;
    const factors = [partial, own].map((slot) => this.bracketed(this.value(slot))).join(" × ");
    const sum = this.isSummed(added, partial, own) ? [", summed,", ""] : ["", ""];
    return [[names, "slot"], [" = ", ""], [factors, ""], sum, [" = ", ""], value];
  }

  isRepeated(instruction, operand) {
    return this.tape.reads(instruction).filter((slot) => slot === operand).length > 1;
  }

  // Has the contribution fewer elements than what it is a product of?
  isSummed(added, ...factors) {
    const count = (slot) => size(this.tape.type(slot).shape);
    return factors.some((slot) => count(slot) > count(added));
  }

  // What a partial says, and why a product may be 0 although it is not finite.
  sensitivity({ instruction, operand, added }, partial) {
    if (partial < 0) return "";
    const [factor, product] = [partial, added].map((slot) => this.state.values[slot].data);
    if (factor && !factor.every(Number.isFinite) && !product.some(Number.isNaN)) {
      return ": where the adjoint is 0 the product is 0, whatever the partial is, since that entry was not selected";
    }
    if (size(this.tape.type(partial).shape) !== 1) return "";
    if (this.isRepeated(instruction, operand)) return `: ${nameOf(operand)} is read more than once, each time counts`;
    const times = this.bracketed(this.value(partial));
    return `: when ${nameOf(operand)} changes a little, ${nameOf(instruction)} changes ${times} times as much`;
  }

  gradient() {
    const { name, inputs } = this.tape.data, f = /^\w+$/.test(name) ? name : "";
    const found = inputs.filter(({ slot }) => this.tape.adjoints[slot] >= 0)
      .map(({ slot, label }) => `∂${f}/∂${label} = ${this.value(this.tape.adjoints[slot])}`);
    const more = found.length > MOST_NAMED ? [...found.slice(0, MOST_NAMED), "…"] : found;
    return [`That was the last step. The adjoints of the arguments are the gradient: ${more.join(", ")}`];
  }
}
