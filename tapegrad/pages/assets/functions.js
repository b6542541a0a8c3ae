// Functions of numbers that JavaScript's Math does not have, or has otherwise than NumPy: by the op's name, or by its
// key ("floor_divide:ii") where kinds of operands differ. All others come from the rows themselves (ELEMENTWISE).

// C's pow: 1 to any power is 1, and so is -1 to an infinite one.
function power(x, y) {
  if (x === 1 || (x === -1 && Math.abs(y) === Infinity)) return 1;
  return Math.pow(x, y);
}

// Remainder of the sign of y.
function remainder(x, y) {
  const rest = x % y;
  if (rest !== 0) return (rest < 0) === (y < 0) ? rest : rest + y;
  return y < 0 ? -0 : 0;
}

function floorDivide(x, y) {
  if (y === 0) return x / y;
  const rest = x % y;
  let quotient = (x - rest) / y;
  if (rest !== 0 && (rest < 0) !== (y < 0)) quotient -= 1;
  if (quotient === 0) return 0 * (x / y);
  const below = Math.floor(quotient);
  return quotient - below > 0.5 ? below + 1 : below;
}

// Where NumPy divides whole numbers by 0 it gives 0.
function wholeRemainder(x, y) {
  return y === 0 ? 0 : remainder(x, y);
}

function wholeQuotient(x, y) {
  if (y === 0) return 0;
  const rest = x % y, towardsZero = (x - rest) / y;
  return rest !== 0 && (rest < 0) !== (y < 0) ? towardsZero - 1 : towardsZero;
}

function isNegative(x) {
  return x < 0 || Object.is(x, -0);
}

// x times 2**n, by factors that do not round before the last.
function scaled(x, n) {
  let rest = Math.max(-2200, Math.min(2200, n));
  for (; rest > 1000; rest -= 1000) x *= 2 ** 1000;
  for (; rest < -1000; rest += 900) x *= 2 ** -900;
  return x * 2 ** rest;
}

// The nearest whole number, halves to even ones.
function roundedToEven(x) {
  const below = Math.floor(x), part = x - below;
  if (part !== 0.5) return part === 0 ? x : Math.sign(x) * Math.round(Math.abs(x));
  return below % 2 === 0 ? (below === 0 && isNegative(x) ? -0 : below) : below + 1 || -0;
}

function greatestCommonDivisor(x, y) {
  let a = Math.abs(x), b = Math.abs(y);
  while (b) [a, b] = [b, a % b];
  return a;
}

function leastCommonMultiple(x, y) {
  const divisor = greatestCommonDivisor(x, y);
  return divisor ? Math.abs(x) / divisor * Math.abs(y) : 0;
}

// An operation on the bits of whole numbers of 64 bits.
function onBits(operation) {
  return (x, y) => Number(BigInt.asIntN(64, operation(BigInt(x), BigInt(y ?? 0))));
}

// Shifts by more than there are bits leave nothing but the sign.
function shiftRight(x, y) {
  return y < 0n || y > 63n ? (x < 0n ? -1n : 0n) : x >> y;
}

function shiftLeft(x, y) {
  return y < 0n || y > 63n ? 0n : x << y;
}

// log(b**x + b**y) to base b, by the power b**-|x - y|; `unit` is what natural logarithms are multiplied with.
function logarithmOfSum(x, y, power, unit) {
  if (x === y) return x + unit * Math.LN2;
  const apart = x - y;
  return Number.isNaN(apart) ? NaN : Math.max(x, y) + unit * Math.log1p(power(-Math.abs(apart)));
}

function logit(x) {
  const s = 2 * (x - 0.5);
  return Math.abs(s) < 0.5 ? Math.log1p(s) - Math.log1p(-s) : Math.log(x / (1 - x));
}

// erf(x) = 2 / sqrt(pi) exp(-x**2) sum of 2**n x**(2n+1) / (1 * 3 * ... * (2n+1)): DLMF 7.6.2.
function erfBySeries(x) {
  let term = x, total = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(total); n += 1) {
    term *= 2 * x * x / (2 * n + 1);
    total += term;
  }
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * total;
}

// erfc(x) for x > 0 by the continued fraction, from its end: DLMF 7.9.1.
function erfcByFraction(x) {
  let below = x;
  for (let n = Math.ceil(20 + 300 / x); n > 0; n -= 1) below = x + n / 2 / below;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * below);
}

function erf(x) {
  if (Number.isNaN(x) || Math.abs(x) > 6) return Math.sign(x);
  return Math.abs(x) < 2 ? erfBySeries(x) : Math.sign(x) * (1 - erfcByFraction(Math.abs(x)));
}

function erfc(x) {
  if (x < 0.75) return 1 - erf(x);
  return x > 30 ? 0 : x === x ? erfcByFraction(x) : NaN;
}

// 0 where x is 0, whatever a logarithm of y is.
function orNothing(x, y, product) {
  return x === 0 && y === y ? 0 : product;
}

// log(x / y), also where the ratio leaves the range of floats.
function logOfRatio(x, y) {
  const ratio = x / y;
  return ratio > 1e-290 && ratio < Infinity ? Math.log(ratio) : Math.log(x) - Math.log(y);
}

function relativeEntropy(x, y) {
  const ratio = x / y;
  if (x > 0 && y > 0) return x * (ratio > 0.5 && ratio < 2 ? Math.log1p((x - y) / y) : logOfRatio(x, y));
  return Number.isNaN(x) || Number.isNaN(y) ? NaN : x === 0 && y >= 0 ? 0 : Infinity;
}

function entropy(x) {
  return x > 0 ? -x * Math.log(x) : x === 0 ? 0 : x < 0 ? -Infinity : NaN;
}

function huber(d, x) {
  if (d < 0) return Infinity;
  return Math.abs(x) <= d ? 0.5 * x * x : d * (Math.abs(x) - 0.5 * d);
}

const FUNCTIONS = {
  floor_divide: floorDivide,
  "floor_divide:ii": wholeQuotient,
  remainder: remainder,
  "remainder:ii": wholeRemainder,
  fmod: (x, y) => x % y,
  "fmod:ii": (x, y) => (y === 0 ? 0 : x % y),
  copysign: (x, y) => (isNegative(y) ? -Math.abs(x) : Math.abs(x)),
  ldexp: scaled,
  fmax: (x, y) => (Number.isNaN(y) || x >= y ? x : y),
  fmin: (x, y) => (Number.isNaN(y) || x <= y ? x : y),
  rint: roundedToEven,
  trunc: Math.trunc,
  gcd: greatestCommonDivisor,
  lcm: leastCommonMultiple,
  bitwise_and: onBits((x, y) => x & y),
  bitwise_or: onBits((x, y) => x | y),
  bitwise_xor: onBits((x, y) => x ^ y),
  left_shift: onBits(shiftLeft),
  right_shift: onBits(shiftRight),
  invert: onBits((x) => ~x),
  exp2: (x) => power(2, x),
  exp10: (x) => power(10, x),
  log2: Math.log2,
  log10: Math.log10,
  logaddexp: (x, y) => logarithmOfSum(x, y, Math.exp, 1),
  logaddexp2: (x, y) => logarithmOfSum(x, y, (t) => 2 ** t, Math.LOG2E),
  cbrt: Math.cbrt,
  hypot: Math.hypot,
  arcsinh: Math.asinh,
  arccosh: Math.acosh,
  arctanh: Math.atanh,
  expit: (x) => 1 / (1 + Math.exp(-x)),
  logit: logit,
  log_expit: (x) => (x < 0 ? x - Math.log1p(Math.exp(x)) : -Math.log1p(Math.exp(-x))),
  erf: erf,
  erfc: erfc,
  ndtr: (x) => 0.5 * erfc(-x * Math.SQRT1_2),
  xlogy: (x, y) => orNothing(x, y, x * Math.log(y)),
  xlog1py: (x, y) => orNothing(x, y, x * Math.log1p(y)),
  entr: entropy,
  rel_entr: relativeEntropy,
  huber: huber,
};
