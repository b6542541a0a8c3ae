"""What runs when a function of NumPy's is called on a Variable.

`FUNCTIONS` holds it by the function itself, by (ufunc, method), for SciPy's ufuncs, which are not to be
imported, by name, and by ("complex", function) what is called on a `ComplexPair`. "__array_ufunc__" is what makes
calls of ufuncs with keywords.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from tapegrad.record.functions import (
    arranging,
    assigning,
    building,
    chains,
    choosing,
    comparing,
    cumulative,
    decomposing,
    differences,
    elementwise,
    filling,
    fourier,
    histograms,
    indexing,
    nans,
    norms,
    padding,
    pairs,
    polynomials,
    products,
    quantiles,
    reducing,
    rounding,
    sets,
    shaping,
    solving,
    sorting,
    spacing,
    special,
    special_orders,
    statistics,
    ufunc_calls,
    ufunc_outer,
)
from tapegrad.record.functions.copying import copies
from tapegrad.record.functions.viewing import views

_TABLES: Final[tuple[Mapping[Any, Any], ...]] = (
    ufunc_calls.TABLE,
    elementwise.TABLE,
    rounding.TABLE,
    ufunc_outer.TABLE,
    reducing.TABLE,
    shaping.TABLE,
    products.TABLE,
    indexing.TABLE,
    arranging.TABLE,
    building.TABLE,
    padding.TABLE,
    differences.TABLE,
    spacing.TABLE,
    polynomials.TABLE,
    comparing.TABLE,
    choosing.TABLE,
    statistics.TABLE,
    nans.TABLE,
    quantiles.TABLE,
    histograms.TABLE,
    sorting.TABLE,
    sets.TABLE,
    cumulative.TABLE,
    solving.TABLE,
    decomposing.TABLE,
    norms.TABLE,
    chains.TABLE,
    fourier.TABLE,
    pairs.TABLE,
    special.TABLE,
    special_orders.TABLE,
    assigning.TABLE,
    filling.TABLE,
)
_RECORDED: Final = {function: recorded for table in _TABLES for function, recorded in table.items()}
FUNCTIONS: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {**_RECORDED, **copies(_RECORDED), **views(_RECORDED)}
)
