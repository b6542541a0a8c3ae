// The tape run in the browser, for inputs that the reader has changed.

// A guard that does not come out as it was recorded: the function would take another branch.
class OtherBranch extends Error {
  constructor(slot) {
    super("another branch");
    this.slot = slot;
  }
}

// Why inputs cannot be changed; empty where they can.
function obstacle(tape) {
  const unknown = [...new Set(tape.data.ops.filter((op) => !op.leaf && !isKnown(op)).map((op) => op.name))];
  return unknown.length ? `the page cannot compute ${unknown.join(", ")}` : tape.data.reason;
}

// One instruction's value.
function valueOf(tape, slot, inputs, values, single) {
  const place = tape.places.get(slot), op = tape.op(slot);
  if (place !== undefined) return inputs[place];
  if (op.name === "constant") return tape.constant(slot);
  const operands = Array.from(tape.reads(slot), (s) => values[s]);
  return evaluate(op, tape.attribute(slot), operands, tape.type(slot), single);
}

// The value of every slot.
function run(tape, inputs) {
  const values = new Array(tape.length);
  for (let slot = 0; slot < tape.length; slot += 1) {
    values[slot] = valueOf(tape, slot, inputs, values, tape.single);
    if (tape.op(slot).name === "guard" && !values[slot].data[0]) throw new OtherBranch(slot);
  }
  return values;
}

// Do two runs agree to rounding? Asked once, of the browser's numbers and Python's.
function agree(tape, found, wanted) {
  const allowed = tape.single ? 1e-3 : 1e-7;
  return found.every((value, slot) => {
    const scale = wanted[slot].data.reduce((most, x) => (Math.abs(x) < Infinity ? Math.max(most, Math.abs(x)) : most), 1);
    return value.data.every((x, k) => Object.is(x + 0, wanted[slot].data[k] + 0)
      || Math.abs(x - wanted[slot].data[k]) <= allowed * scale);
  });
}

// --- finite differences, as `tapegrad/explanation/differences.py` has them: the result with one entry of a slot moved

const STEP = Number.EPSILON ** (1 / 3), LEAST = 1e-5, ZERO = 1e-3, CLOSE = { false: 1e-4, true: 1e-3 };
const AFFORDABLE = 2e6; // elements computed

class Differences {
  constructor(tape, inputs, adjoints) {
    this.tape = tape;
    this.adjoints = adjoints;
    this.inputs = inputs.map((x) => ({ ...x, data: x.kind === "f" ? Float64Array.from(x.data) : x.data }));
    this.values = [];
    for (let slot = 0; slot < tape.count; slot += 1) {
      this.values[slot] = valueOf(tape, slot, this.inputs, this.values, false);
    }
    this.seeds = tape.data.results.filter(([, seed]) => seed >= 0).map(([slot, seed]) => [slot, tape.constant(seed)]);
  }

  // Central differences of these slots: {entry, value, agrees} each, or nothing.
  all(slots) {
    const found = new Array(this.tape.count);
    for (const slot of slots) found[slot] = this.of(slot);
    return found;
  }

  of(slot) {
    const here = this.values[slot], adjoint = this.adjoints[slot];
    if (!adjoint || !here.data.length || !adjoint.data.length) return undefined;
    const wide = broadcastPlaces(adjoint.shape, here.shape);
    const amount = (k) => (Number.isNaN(adjoint.data[wide[k]]) ? -1 : Math.abs(adjoint.data[wide[k]]));
    let entry = 0;
    wide.forEach((_, k) => { if (amount(k) > amount(entry)) entry = k; });
    const exact = adjoint.data[wide[entry]];
    const { value, noise } = this.slope(slot, entry);
    const apart = Math.abs(value - exact);
    const agrees = apart <= CLOSE[this.tape.single] * Math.max(Math.abs(value), Math.abs(exact)) + 10 * noise
      || value === exact || (Number.isNaN(value) && Number.isNaN(exact));
    return { entry: unraveled(entry, here.shape), value, agrees };
  }

  slope(slot, entry) {
    const x = this.values[slot].data[entry], step = STEP * (x === 0 ? ZERO : Math.max(Math.abs(x), LEAST));
    const above = this.moved(slot, entry, x + step), below = this.moved(slot, entry, x - step);
    if (!above || !below) return { value: NaN, noise: 0 };
    let change = 0, amount = 0;
    for (const [result, seed] of this.seeds) {
      seed.data.forEach((weight, k) => {
        if (weight !== 0) change += weight * (above[result].data[k] - below[result].data[k]);
        amount += Math.abs(weight * this.values[result].data[k]);
      });
    }
    return { value: change / ((x + step) - (x - step)), noise: Number.EPSILON * amount / step };
  }

  // All values with one entry of a slot moved; nothing where they cannot be computed.
  moved(slot, entry, x) {
    const values = this.values.slice(), reached = new Uint8Array(this.tape.count);
    values[slot] = { ...values[slot], data: Float64Array.from(values[slot].data) };
    values[slot].data[entry] = x;
    reached[slot] = 1;
    try {
      for (let i = slot + 1; i < this.tape.count; i += 1) {
        if (!this.tape.reads(i).some((s) => reached[s]) || this.tape.op(i).name === "stop_gradient") continue;
        reached[i] = 1;
        values[i] = valueOf(this.tape, i, this.inputs, values, false);
      }
    } catch (error) {
      if (error instanceof Refusal) return null;
      throw error;
    }
    return values;
  }
}

function unraveled(place, shape) {
  return strides(shape).map((step, axis) => Math.floor(place / step) % shape[axis]);
}

// The slots that differences are computed for: all, those of the inputs, or none, as work allows.
function affordableSlots(tape) {
  const sizes = Array.from({ length: tape.count }, (_, slot) => 1 + size(tape.type(slot).shape));
  const after = sizes.slice();
  for (let slot = tape.count - 2; slot >= 0; slot -= 1) after[slot] += after[slot + 1];
  const smooth = sizes.map((_, slot) => slot).filter((slot) => tape.type(slot).kind === "f" && tape.adjoints[slot] >= 0);
  const inputs = smooth.filter((slot) => tape.places.has(slot));
  const cost = (slots) => slots.reduce((sum, slot) => sum + 2 * after[slot], 0);
  return [smooth, inputs, []].find((slots) => cost(slots) <= AFFORDABLE);
}
