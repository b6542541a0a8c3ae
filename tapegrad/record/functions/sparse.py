"""Products with matrices of `scipy.sparse`, which are constants.

`A @ x` asks A first, which asks x for its values; `Variable.__array__` tells that question from others, and A leaves
the product to x. So SciPy itself needs no change, and `x @ A`, `A.dot(x)`, `np.matmul(A, x)` come here, too.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.ops.row import FLOAT
from tapegrad.ops.sparse import SparseMatrix
from tapegrad.record.captured import Captured
from tapegrad.record.functions.common import lift, recorder_of, reshaped, transposed
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

# Formats whose elements are in arrays, which can be watched; and those arrays.
_ARRAYS: Final = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "coo": ("data",),
    "dia": ("data", "offsets"),
}


def is_sparse(value: Any) -> bool:
    """Is it a matrix or an array of `scipy.sparse`?"""
    module = sys.modules.get("scipy.sparse")
    return module is not None and bool(module.issparse(value))


def product(a: Any, b: Any) -> Variable:
    """`a @ b`, one of them sparse, the other a Variable of one axis or two."""
    recorder = recorder_of(a, b)
    sparse, dense, transpose = (a, b, 0) if is_sparse(a) else (b, a, 1)
    x = recorder.cast(lift(recorder, dense, FLOAT), FLOAT)
    inner = x.ndim - 1 if transpose else 0
    if sparse.ndim != 2 or x.ndim not in (1, 2) or x.shape[inner] != sparse.shape[0 if transpose else 1]:
        found = f"shapes {a.shape} and {b.shape}"
        wanted = "a sparse matrix, and a vector or matrix that it can be multiplied with"
        raise ShapeError(describe("matmul", found=found, wanted=wanted, line=recorder.line()))
    matrix = _constant(recorder, sparse)
    if x.ndim == 1:
        column = recorder.apply("sparse_matmul", (matrix, transpose), reshaped(x, (x.size, 1)))
        return reshaped(column, column.shape[:1])
    if not transpose:
        return recorder.apply("sparse_matmul", (matrix, 0), x)
    return transposed(recorder.apply("sparse_matmul", (matrix, 1), transposed(x, (1, 0))), (1, 0))


def _constant(recorder: Recorder, sparse: Any) -> SparseMatrix:
    """A sparse matrix as part of a tape: watched, as every constant, for changes in place."""
    known = recorder.constants.objects.get(id(sparse))
    if known is None:
        line = recorder.line()
        if sparse.dtype.kind not in "fiub":
            found = f"a sparse matrix of dtype {sparse.dtype}"
            raise DtypeError(describe("matmul", found=found, wanted="floats, integers or booleans", line=line))
        if sparse.format not in _ARRAYS:
            wanted = "A.tocsr(), made once outside the function"
            raise unsupported("matmul", f"a sparse matrix in the format {sparse.format}", wanted, recorder)
        recorder.constants.captured += [Captured.of(getattr(sparse, name), line) for name in _ARRAYS[sparse.format]]
        matrix = SparseMatrix(sparse.tocsr().astype(recorder.dtype, copy=False))
        known = recorder.constants.objects[id(sparse)] = (sparse, matrix)
    return known[1]
