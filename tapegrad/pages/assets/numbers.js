// Numbers and arrays in a few characters, as `tapegrad/reading/figures.py` writes them.

const FEW = 8; // entries that may be listed one by one

function figure(x, kind = "f", digits = 6) {
  if (kind === "b") return x ? "True" : "False";
  if (kind === "i") return String(x);
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf";
  if (x === 0) return Object.is(x, -0) ? "-0" : "0";
  const [mantissa, power] = x.toExponential(digits - 1).split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < digits) return withoutZeros(x.toFixed(digits - 1 - exponent));
  return `${withoutZeros(mantissa)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function withoutZeros(text) {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function summary(array, width = 24) {
  const { shape, kind, data } = array;
  if (!shape.length) return figure(data[0], kind);
  if (!data.length) return "empty";
  if (data.length <= FEW) {
    for (const digits of [6, 4, 3]) {
      const text = listed(shape, [...data].map((x) => figure(x, kind, digits)));
      if (text.length <= width) return text;
    }
  }
  return range(data, kind, width);
}

function listed(shape, entries) {
  if (!shape.length) return entries[0];
  const each = size(shape.slice(1)), rows = [];
  for (let k = 0; k < shape[0]; k += 1) rows.push(listed(shape.slice(1), entries.slice(k * each, (k + 1) * each)));
  return `[${rows.join(", ")}]`;
}

// Least, largest and mean, and how many entries are not finite.
function range(data, kind, width) {
  if (kind === "b") return `${data.filter(Boolean).length} of ${data.length} True`;
  const finite = [...data].filter(Number.isFinite), nans = data.filter(Number.isNaN).length;
  const infinite = data.length - finite.length - nans;
  const odd = [[nans, "nan"], [infinite, "inf"]].filter(([count]) => count).map(([n, name]) => `${n} ${name}`).join(", ");
  if (!finite.length) return `${odd}, nothing else`;
  const low = finite.reduce((a, b) => Math.min(a, b)) + 0, high = finite.reduce((a, b) => Math.max(a, b)) + 0; // -0 is 0
  if (low === high) return odd ? `${odd}, else ${figure(low, kind)}` : `${figure(low, kind)} everywhere`;
  const ends = [low, high].map((x) => figure(x, kind, width < 18 ? 3 : 4));
  const text = ends[0] === ends[1] ? `about ${ends[0]}` : ends.join("..");
  if (odd || ends[0] === ends[1]) return odd ? `${odd}, else ${text}` : text;
  const longer = `${text}, mean ${figure(finite.reduce((a, b) => a + b, 0) / finite.length, "f", 3)}`;
  return longer.length <= width ? longer : text;
}

// A whole number of things.
function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
