// The value of an instruction from the values of its operands.

// What the page will not compute, and why; it is said instead of a number.
class Refusal extends Error {}

// An array of one kind: "f" floating, "i" whole numbers, "b" booleans as 0 and 1. Float32Array rounds by itself.
function emptyArray(type, single) {
  const count = size(type.shape);
  const data = type.kind === "b" ? new Uint8Array(count)
    : type.kind === "f" && single ? new Float32Array(count) : new Float64Array(count);
  return { shape: type.shape, kind: type.kind, data };
}

// Does the page know the op?
function isKnown(op) {
  return Boolean(STRUCTURAL[op.name] || functionOf(op));
}

function functionOf(op) {
  return op.elementwise ? FUNCTIONS[op.key] ?? FUNCTIONS[op.name] ?? ELEMENTWISE[op.name] : undefined;
}

// The value of op (a row's name, key and kind) on operands; `type` is the result's.
function evaluate(op, attribute, operands, type, single) {
  const result = emptyArray(type, single);
  const structural = STRUCTURAL[op.name];
  if (structural) structural(result.data, attribute, ...operands);
  else elementwise(functionOf(op), operands, result);
  if (type.kind === "i") checkWhole(result.data);
  return result;
}

// Whole numbers are exact up to 2**53 in JavaScript, and not looked at beyond.
function checkWhole(data) {
  for (let k = 0; k < data.length; k += 1) {
    if (!Number.isSafeInteger(data[k])) throw new Refusal("a whole number beyond 2^53, or one made of nan");
    data[k] += 0; // no negative zero
  }
}

function elementwise(f, operands, result) {
  const out = result.data;
  if (operands.every((x) => x.data.length === out.length)) {
    const [x, y, z] = operands.map((operand) => operand.data);
    if (operands.length === 1) for (let k = 0; k < out.length; k += 1) out[k] = f(x[k]);
    else if (operands.length === 2) for (let k = 0; k < out.length; k += 1) out[k] = f(x[k], y[k]);
    else for (let k = 0; k < out.length; k += 1) out[k] = f(x[k], y[k], z[k]);
    return;
  }
  const places = operands.map((operand) => broadcastPlaces(operand.shape, result.shape));
  for (let k = 0; k < out.length; k += 1) out[k] = f(...operands.map((x, j) => x.data[places[j][k]]));
}

// --- moving elements

function take(out, x, places) {
  for (let k = 0; k < out.length; k += 1) out[k] = x.data[places[k]];
}

function put(out, x, places) {
  for (let k = 0; k < places.length; k += 1) out[places[k]] = x.data[k];
}

function addTo(out, x, places) {
  for (let k = 0; k < places.length; k += 1) out[places[k]] += x.data[k];
}

function concatenate(out, [axis], ...operands) {
  const outer = size(operands[0].shape.slice(0, axis));
  let place = 0;
  for (let row = 0; row < outer; row += 1) {
    for (const x of operands) {
      const each = x.data.length / outer;
      for (let k = 0; k < each; k += 1, place += 1) out[place] = x.data[row * each + k];
    }
  }
}

// Of places that are named more than once, where the last name stands.
function isLast(out, [length, batch], index) {
  const each = size(index.shape.slice(batch));
  const last = new Map();
  index.data.forEach((value, k) => last.set(Math.floor(k / each) * length + wrapped(value, length), k));
  for (const k of last.values()) out[k] = 1;
}

function lowerTriangle(out, [diagonal], x) {
  const [rows, columns] = x.shape.slice(-2);
  for (let k = 0; k < out.length; k += 1) {
    const row = Math.floor(k / columns) % rows;
    out[k] = (k % columns) - row <= diagonal ? x.data[k] : 0;
  }
}

// --- sums, extremes, products

// The place in the result of each element of x, after some axes have vanished.
function reducedPlaces(shape, axes) {
  const kept = shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
  return broadcastPlaces(kept, shape);
}

function sum(out, axes, x) {
  const total = new Float64Array(out.length); // float32 is rounded once
  addTo(total, x, reducedPlaces(x.shape, axes));
  out.set(total);
}

// `better` of an element and the extreme so far; a nan is the extreme.
function extreme(better) {
  return (out, axes, x) => {
    const places = reducedPlaces(x.shape, axes), met = new Uint8Array(out.length);
    places.forEach((place, k) => {
      if (!met[place] || better(x.data[k], out[place])) out[place] = x.data[k];
      met[place] = 1;
    });
  };
}

function isAbove(a, b) {
  return a > b || (a !== a && b === b);
}

function isBelow(a, b) {
  return a < b || (a !== a && b === b);
}

function matmul(out, [flipA, flipB], a, b) {
  const [rows, inner] = flipA ? a.shape.slice(-2).reverse() : a.shape.slice(-2);
  const columns = b.shape.at(flipB ? -2 : -1);
  const [stepA, stepB] = [flipA ? [1, rows] : [inner, 1], flipB ? [1, inner] : [columns, 1]];
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const [placesA, placesB] = [a, b].map((x) => broadcastPlaces(x.shape.slice(0, -2), batch));
  let k = 0;
  for (let p = 0; p < size(batch); p += 1) {
    const [firstA, firstB] = [placesA[p] * rows * inner, placesB[p] * inner * columns];
    for (let i = 0; i < rows; i += 1) {
      for (let j = 0; j < columns; j += 1, k += 1) {
        let total = 0;
        for (let m = 0; m < inner; m += 1) {
          total += a.data[firstA + i * stepA[0] + m * stepA[1]] * b.data[firstB + m * stepB[0] + j * stepB[1]];
        }
        out[k] = total;
      }
    }
  }
}

function broadcastShape(a, b) {
  const length = Math.max(a.length, b.length);
  const [x, y] = [a, b].map((shape) => [...new Array(length - shape.length).fill(1), ...shape]);
  return x.map((n, axis) => (n === 1 ? y[axis] : n));
}

function matmulAdd(out, flags, acc, a, b) {
  const product = new Float64Array(out.length);
  matmul(product, flags, a, b);
  for (let k = 0; k < out.length; k += 1) out[k] = acc.data[k] + product[k];
}

// --- along an axis

function cumulativeSum(out, [axis], x) {
  const [firsts, step, length] = lines(x.shape, axis);
  for (const first of firsts) {
    let total = 0;
    for (let k = 0; k < length; k += 1) out[first + k * step] = total += x.data[first + k * step];
  }
}

// Rising, nan last; equal ones stay in order.
function sortedPlaces(out, [axis], x) {
  const [firsts, step, length] = lines(x.shape, axis);
  for (const first of firsts) {
    const value = (k) => x.data[first + k * step];
    const order = [...new Array(length).keys()].sort((i, j) => {
      const [a, b] = [value(i), value(j)];
      return a < b || (a === a && b !== b) ? -1 : a > b || (a !== a && b === b) ? 1 : i - j;
    });
    order.forEach((place, k) => { out[first + k * step] = place; });
  }
}

function extremePlace(better) {
  return (out, [axis], x) => {
    const [firsts, step, length] = lines(x.shape, axis);
    firsts.forEach((first, line) => {
      let best = 0;
      for (let k = 1; k < length; k += 1) if (better(x.data[first + k * step], x.data[first + best * step])) best = k;
      out[line] = best;
    });
  };
}

function runningPlace(out, [axis, largest], x) {
  const [firsts, step, length] = lines(x.shape, axis), better = largest ? isAbove : isBelow;
  for (const first of firsts) {
    let best = 0;
    for (let k = 0; k < length; k += 1) {
      if (better(x.data[first + k * step], x.data[first + best * step])) best = k;
      out[first + k * step] = best;
    }
  }
}

// How many elements of the sorted line stand before v.
function searchSorted(out, [after, common], a, v) {
  const length = a.shape.at(-1), each = size(v.shape.slice(common));
  v.data.forEach((value, k) => {
    const first = common ? Math.floor(k / each) * length : 0;
    let count = 0;
    while (count < length && (after ? !isAbove(a.data[first + count], value) : isBelow(a.data[first + count], value)
      || (value !== value && a.data[first + count] === a.data[first + count]))) count += 1;
    out[k] = count;
  });
}

// Each writes its result into `out`, which is full of zeros.
const STRUCTURAL = {
  reshape: (out, _, x) => out.set(x.data),
  stop_gradient: (out, _, x) => out.set(x.data),
  transpose: (out, axes, x) => take(out, x, transposePlaces(x.shape, axes)),
  broadcast_to: (out, shape, x) => take(out, x, broadcastPlaces(x.shape, shape)),
  slice: (out, windows, x) => take(out, x, windowPlaces(x.shape, windows)),
  pad: (out, [shape, windows], x) => put(out, x, windowPlaces(shape, windows)),
  slice_add: (out, windows, acc, x) => { out.set(acc.data); addTo(out, x, windowPlaces(acc.shape, windows)); },
  slice_set: (out, windows, acc, x) => { out.set(acc.data); put(out, x, windowPlaces(acc.shape, windows)); },
  item: (out, [k], x) => take(out, x, itemPlaces(x.shape, k)),
  item_add: (out, [k], acc, x) => { out.set(acc.data); addTo(out, x, itemPlaces(acc.shape, k)); },
  item_set: (out, [k], acc, x) => { out.set(acc.data); put(out, x, itemPlaces(acc.shape, k)); },
  concatenate: concatenate,
  gather: (out, [axis, batch], x, index) => take(out, x, gatherPlaces(x.shape, axis, batch, index)),
  scatter: (out, [axis, length, batch], x, index) => {
    const own = index.shape.length - batch;
    const shape = [...x.shape.slice(0, axis), length, ...x.shape.slice(axis + own)];
    addTo(out, x, gatherPlaces(shape, axis, batch, index));
  },
  scatter_add: (out, [axis, batch], acc, x, index) => {
    out.set(acc.data);
    addTo(out, x, gatherPlaces(acc.shape, axis, batch, index));
  },
  scatter_set: (out, [axis, batch], acc, x, index) => {
    out.set(acc.data);
    put(out, x, gatherPlaces(acc.shape, axis, batch, index));
  },
  is_last: isLast,
  tril: lowerTriangle,
  sum: sum,
  max: extreme(isAbove),
  min: extreme(isBelow),
  matmul: matmul,
  matmul_add: matmulAdd,
  cumsum: cumulativeSum,
  argsort: sortedPlaces,
  argpartition: sortedPlaces,
  argmax: extremePlace(isAbove),
  argmin: extremePlace(isBelow),
  running_place: runningPlace,
  searchsorted: searchSorted,
};
