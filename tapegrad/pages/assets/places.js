// Where elements lie. An array is {shape, kind, data}: its elements one after another, the last axis fastest. Ops that
// move elements say, for each element of one array, its place in another.

function size(shape) {
  return shape.reduce((product, n) => product * n, 1);
}

// How far apart neighbours along each axis lie.
function strides(shape) {
  const found = new Array(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    found[axis] = step;
    step *= shape[axis];
  }
  return found;
}

// The places that one meets who goes `steps` along axes of these lengths, the last fastest.
function walk(shape, steps, start) {
  const found = new Int32Array(size(shape));
  const index = new Array(shape.length).fill(0);
  let place = start;
  for (let k = 0; k < found.length; k += 1) {
    found[k] = place;
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      index[axis] += 1;
      place += steps[axis];
      if (index[axis] < shape[axis]) break;
      place -= steps[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return found;
}

// For each element of the wide shape the one that is repeated there.
function broadcastPlaces(shape, wide) {
  const missing = wide.length - shape.length, own = strides(shape);
  const steps = wide.map((_, axis) => (axis < missing || shape[axis - missing] === 1 ? 0 : own[axis - missing]));
  return walk(wide, steps, 0);
}

function transposePlaces(shape, axes) {
  const own = strides(shape);
  return walk(axes.map((axis) => shape[axis]), axes.map((axis) => own[axis]), 0);
}

// A window has [start, step, count] for each axis.
function windowPlaces(shape, windows) {
  const own = strides(shape);
  const start = windows.reduce((total, window, axis) => total + window[0] * own[axis], 0);
  return walk(windows.map((window) => window[2]), windows.map((window, axis) => window[1] * own[axis]), start);
}

function itemPlaces(shape, k) {
  const windows = shape.map((n, axis) => (axis === 0 ? [k, 1, 1] : [0, 1, n]));
  return windowPlaces(shape, windows);
}

// What integers along an axis select; the first `batch` axes are common to both arrays.
function gatherPlaces(shape, axis, batch, index) {
  const length = shape[axis], inner = size(shape.slice(axis + 1)), between = size(shape.slice(batch, axis));
  const each = size(index.shape.slice(batch)), found = [];
  for (let p = 0; p < size(shape.slice(0, axis)); p += 1) {
    const first = Math.floor(p / between) * each;
    for (let j = 0; j < each; j += 1) {
      const row = p * length + wrapped(index.data[first + j], length);
      for (let r = 0; r < inner; r += 1) found.push(row * inner + r);
    }
  }
  return found;
}

function wrapped(index, length) {
  if (index < -length || index >= length) throw new Refusal("an index outside its axis");
  return index < 0 ? index + length : index;
}

// An array as lines along an axis: [first place of each line, step, length].
function lines(shape, axis) {
  const step = size(shape.slice(axis + 1)), length = shape[axis], firsts = [];
  for (let outer = 0; outer < size(shape.slice(0, axis)); outer += 1) {
    for (let inner = 0; inner < step; inner += 1) firsts.push(outer * length * step + inner);
  }
  return [firsts, step, length];
}
