// A folded picture shows the first turn of a repeat. While a moment is in a later turn, its boxes stand for the
// instructions of that turn.

class Turns {
  constructor(tape) {
    this.folds = tape.data.folds;
    this.rank = new Int32Array(tape.count); // for each slot how many instructions that are no leaves come before it
    this.steps = []; // and those instructions
    for (let slot = 0; slot < tape.count; slot += 1) {
      this.rank[slot] = this.steps.length;
      if (!tape.op(slot).leaf) this.steps.push(slot);
    }
  }

  // The turn of a repeat that an instruction is in, before or behind.
  turn({ first, period, turns }, rank) {
    return Math.max(0, Math.min(turns - 1, Math.floor((rank - first) / period)));
  }

  // What the box of a slot stands for while `at` is the current instruction.
  actual(slot, at) {
    let rank = this.rank[at], folds = this.folds, place = this.rank[slot];
    if (this.steps[place] !== slot) return slot;
    const drawn = place;
    for (;;) {
      const fold = folds.find(({ first, period }) => first <= drawn && drawn < first + period);
      if (!fold) return this.steps[place];
      const by = this.turn(fold, rank) * fold.period;
      place += by;
      rank -= by;
      folds = fold.inner;
    }
  }

  // The instruction of the first turns that stands for one of any turn.
  drawn(slot) {
    let rank = this.rank[slot], folds = this.folds;
    if (this.steps[rank] !== slot) return slot;
    for (;;) {
      const fold = folds.find(({ first, period, turns }) => first <= rank && rank < first + period * turns);
      if (!fold) return this.steps[rank];
      rank -= this.turn(fold, rank) * fold.period;
      folds = fold.inner;
    }
  }

  isFolded(slot) {
    const rank = this.rank[slot];
    return this.steps[rank] === slot && this.folds.some((f) => f.first <= rank && rank < f.first + f.period);
  }

  // Which turns an instruction is in, from the outermost repeat inwards: [[turn, turns], ...], counted from 1.
  of(slot) {
    const found = [];
    let rank = this.rank[slot], folds = this.folds;
    for (;;) {
      const fold = folds.find(({ first, period, turns }) => first <= rank && rank < first + period * turns);
      if (!fold) return found;
      const turn = this.turn(fold, rank);
      found.push([turn + 1, fold.turns]);
      rank -= turn * fold.period;
      folds = fold.inner;
    }
  }
}
