// The tape as the page has it: slots 0 .. count - 1 are the forward part; partials and the reverse part follow.

class Tape {
  constructor(data) {
    this.data = data;
    this.count = data.count;
    this.length = data.length;
    this.single = data.single;
    for (const [name, text] of Object.entries(data.columns)) this[name] = integers(text);
    this.places = new Map(data.inputs.map((input, place) => [input.slot, place]));
  }

  op(slot) {
    return this.data.ops[this.opcodes[slot]];
  }

  type(slot) {
    return this.data.types[this.types[slot]];
  }

  attribute(slot) {
    return this.data.attributes[this.attributes[slot]];
  }

  reads(slot) {
    return this.operands.subarray(this.starts[slot], this.starts[slot + 1]);
  }

  // The slot of the partial of an instruction by one of its operands, or -1.
  partial(slot, place) {
    return this.partials[this.starts[slot] + place];
  }

  // {file, number, source} of the line that recorded the instruction.
  line(slot) {
    return this.data.lines[this.lines[slot]];
  }

  constant(slot) {
    return arrayOf(this.type(slot), doubles(this.data.constants[this.attributes[slot]]), this.single);
  }

  // What the instruction computes; `names` gives a text for a slot that it reads.
  formula(slot, names) {
    const place = this.places.get(slot);
    if (place !== undefined) return this.data.inputs[place].label;
    const reads = this.reads(slot);
    return this.data.templates[this.templates[slot]].replace(/\{(\d+)\}/g, (_, k) => names(reads[Number(k)]));
  }

  // Does the formula stand between operands, so that a negative number in it needs brackets?
  isInfix(slot) {
    return !/^[\w ]+\(/.test(this.data.templates[this.templates[slot]]);
  }
}

function nameOf(slot) {
  return `v${slot}`;
}

// The values that Python computed: an array each, or a few words where an array is long.
function recordedValues(tape) {
  const { numbers, words } = tape.data.values;
  const all = doubles(numbers), values = new Array(tape.length);
  let place = 0;
  for (let slot = 0; slot < tape.length; slot += 1) {
    if (words[slot] !== undefined) {
      values[slot] = { words: words[slot] };
      continue;
    }
    const type = tape.type(slot), end = place + size(type.shape);
    values[slot] = arrayOf(type, all.subarray(place, end), tape.single);
    place = end;
  }
  return values;
}

// A value in a few characters. An adjoint or a partial may be narrower than its slot: one number stands for all entries.
function shown(value, width = 24) {
  if (value.words) return value.words.length > width ? value.words.replace(/, mean .*/, "") : value.words;
  return value.data.length === 1 ? figure(value.data[0], value.kind) : summary(value, width);
}

// The partials of an instruction by its operands: [operand, texts], in the order in which operands are read.
function partialsOf(tape, slot, text) {
  const found = new Map();
  tape.reads(slot).forEach((operand, place) => {
    const partial = tape.partial(slot, place);
    if (partial >= 0) found.set(operand, [...(found.get(operand) ?? []), text(partial)]);
  });
  return [...found];
}
