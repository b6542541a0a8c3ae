// Columns of numbers come as base64 of little-endian bytes: shorter and quicker to read than digits.

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}

function doubles(text) {
  return new Float64Array(bytesOf(text));
}

function integers(text) {
  return new Int32Array(bytesOf(text));
}

// {shape, kind, data} with elements of the kind's own array type.
function arrayOf(type, data, single) {
  const made = emptyArray(type, single);
  made.data.set(data);
  return made;
}
