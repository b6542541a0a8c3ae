// What happens when: each instruction of the forward sweep, the seed of each result, each contribution of the reverse
// sweep. A moment is a place in this list.

class Timeline {
  constructor(tape) {
    const { steps } = tape.data;
    this.tape = tape;
    this.columns = Object.fromEntries(Object.entries(steps).map(([name, text]) => [name, integers(text)]));
    this.results = tape.data.starts; // [slot, slot of the adjoint that it starts with]
    this.seeding = tape.count;
    this.reverse = tape.count + this.results.length;
    this.length = this.reverse + this.columns.instruction.length;
    this.growth = this.growths();
  }

  // For each slot its adjoint after each moment at which it changes: [[moment, slot of the adjoint so far], ...].
  growths() {
    const found = new Map();
    const add = (slot, moment, total) => {
      if (!found.has(slot)) found.set(slot, []);
      found.get(slot).push([moment, total]);
    };
    this.results.forEach(([slot, seed], k) => add(slot, this.seeding + k, seed));
    this.columns.operand.forEach((slot, k) => add(slot, this.reverse + k, this.columns.total[k]));
    return found;
  }

  // The event at a moment.
  at(moment) {
    if (moment < this.seeding) return { sweep: "forward", instruction: moment };
    if (moment < this.reverse) {
      const [slot, seed] = this.results[moment - this.seeding];
      return { sweep: "seed", instruction: slot, operand: slot, added: seed, total: seed, before: -1 };
    }
    const step = { sweep: "reverse" };
    for (const name of ["instruction", "place", "operand", "added", "total", "before"]) {
      step[name] = this.columns[name][moment - this.reverse];
    }
    return step;
  }

  // The slot that holds a slot's adjoint at a moment, or -1.
  adjoint(slot, moment) {
    let found = -1;
    for (const [when, total] of this.growth.get(slot) ?? []) {
      if (when > moment) break;
      found = total;
    }
    return found;
  }

  // Is the adjoint at this moment what it will be in the end?
  isFinal(slot, moment) {
    const growth = this.growth.get(slot);
    return growth !== undefined && growth.at(-1)[0] <= moment;
  }
}
