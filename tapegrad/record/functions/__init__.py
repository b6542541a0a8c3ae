"""What runs when a function of NumPy's is called on a Variable.

`FUNCTIONS` holds it by the function itself, by (ufunc, method), and for SciPy's ufuncs, which are not to
be imported, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from tapegrad.record.functions import elementwise, indexing, products, reducing, shaping

_TABLES: Final[tuple[Mapping[Any, Any], ...]] = (
    elementwise.TABLE,
    reducing.TABLE,
    shaping.TABLE,
    products.TABLE,
    indexing.TABLE,
)
FUNCTIONS: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {function: recorded for table in _TABLES for function, recorded in table.items()}
)
