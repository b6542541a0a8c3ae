"""The nonlinear regression problems of NIST's Statistical Reference Datasets: models here, numbers in `strd/*.txt`.

Source: NIST/ITL, Statistical Reference Datasets, Nonlinear Regression. The data are a work of the United States
government, in the public domain. NIST computed the certified values, of 11 digits, in 128-bit arithmetic with at least
two algorithms. How programs fare on them: McCullough, Assessing the reliability of statistical software, The American
Statistician 52 (1998) and 53 (1999).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

FOLDER: Final = Path(__file__).parent / "strd"
Model = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A data set, a model and what NIST certifies of the fit.

    Attributes:
        name, level: NIST's; the level of difficulty is lower, average or higher.
        model: a function of the parameters and the predictor; with several predictors, of an array with a row for each.
        x, y: predictor and response.
        starts: NIST's two: the first is far from the solution, the second near it.
        certified, deviation: the parameters and their standard deviations.
        squares: the residual sum of squares.
    """

    name: str
    level: str
    model: Model
    x: Any
    y: Any
    starts: tuple[Any, Any]
    certified: Any
    deviation: Any
    squares: float

    def residuals(self, b: Any, x: Any, y: Any) -> Any:
        """What is made small: model less response."""
        return self.model(b, x) - y

    def digits(self, b: Any) -> float:
        """How many digits of the certified parameters are right: the least over all of them, 11 at most."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = -np.log10(np.max(np.abs(b - self.certified) / np.abs(self.certified)))
        return 0.0 if np.isnan(found) else float(np.clip(found, 0.0, 11.0))


def load(name: str) -> Problem:
    """A problem by its name."""
    lines = (FOLDER / f"{name}.txt").read_text().splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("data"))
    fields = dict(line.split(" ", 1) for line in lines[1:at])
    y, *x = np.array([line.split() for line in lines[at + 1 :]], float).T.copy()
    vectors = {key: np.array(fields[key].split(), float) for key in ("start1", "start2", "certified", "deviation")}
    return Problem(
        name,
        fields["level"],
        MODELS[name],
        x[0] if len(x) == 1 else np.array(x),
        np.log(y) if name == "Nelson" else y,  # its model is of the logarithm
        (vectors["start1"], vectors["start2"]),
        vectors["certified"],
        vectors["deviation"],
        float(fields["squares"]),
    )


def _saturation(b: Any, x: Any) -> Any:
    return b[0] * (1 - np.exp(-b[1] * x))


def _misra1b(b: Any, x: Any) -> Any:
    return b[0] * (1 - (1 + b[1] * x / 2) ** -2.0)


def _misra1c(b: Any, x: Any) -> Any:
    return b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5)


def _misra1d(b: Any, x: Any) -> Any:
    return b[0] * b[1] * x / (1 + b[1] * x)


def _chwirut(b: Any, x: Any) -> Any:
    return np.exp(-b[0] * x) / (b[1] + b[2] * x)


def _lanczos(b: Any, x: Any) -> Any:
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-b[3] * x) + b[4] * np.exp(-b[5] * x)


def _gauss(b: Any, x: Any) -> Any:
    first, second = ((x - b[3]) / b[4]) ** 2, ((x - b[6]) / b[7]) ** 2
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-first) + b[5] * np.exp(-second)


def _danwood(b: Any, x: Any) -> Any:
    return b[0] * x ** b[1]


def _mgh09(b: Any, x: Any) -> Any:
    return b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3])


def _mgh10(b: Any, x: Any) -> Any:
    return b[0] * np.exp(b[1] / (x + b[2]))


def _mgh17(b: Any, x: Any) -> Any:
    return b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4])


def _cubic(b: Any, x: Any) -> Any:
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def _quadratic(b: Any, x: Any) -> Any:
    return (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2)


def _rat42(b: Any, x: Any) -> Any:
    return b[0] / (1 + np.exp(b[1] - b[2] * x))


def _rat43(b: Any, x: Any) -> Any:
    return b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3])


def _eckerle4(b: Any, x: Any) -> Any:
    return b[0] / b[1] * np.exp(-0.5 * ((x - b[2]) / b[1]) ** 2)


def _bennett5(b: Any, x: Any) -> Any:
    return b[0] * (b[1] + x) ** (-1 / b[2])


def _enso(b: Any, x: Any) -> Any:
    year, second, third = 2 * np.pi * x / 12, 2 * np.pi * x / b[3], 2 * np.pi * x / b[6]
    cycles = b[1] * np.cos(year) + b[2] * np.sin(year) + b[4] * np.cos(second) + b[5] * np.sin(second)
    return b[0] + cycles + b[7] * np.cos(third) + b[8] * np.sin(third)


def _roszman1(b: Any, x: Any) -> Any:
    return b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi


def _nelson(b: Any, x: Any) -> Any:
    return b[0] - b[1] * x[0] * np.exp(-b[2] * x[1])


# In NIST's order: by level of difficulty.
MODELS: Final = MappingProxyType(
    {
        "Misra1a": _saturation,
        "Chwirut2": _chwirut,
        "Chwirut1": _chwirut,
        "Lanczos3": _lanczos,
        "Gauss1": _gauss,
        "Gauss2": _gauss,
        "DanWood": _danwood,
        "Misra1b": _misra1b,
        "Kirby2": _quadratic,
        "Hahn1": _cubic,
        "Nelson": _nelson,
        "MGH17": _mgh17,
        "Lanczos1": _lanczos,
        "Lanczos2": _lanczos,
        "Gauss3": _gauss,
        "Misra1c": _misra1c,
        "Misra1d": _misra1d,
        "Roszman1": _roszman1,
        "ENSO": _enso,
        "MGH09": _mgh09,
        "Thurber": _cubic,
        "BoxBOD": _saturation,
        "Rat42": _rat42,
        "MGH10": _mgh10,
        "Eckerle4": _eckerle4,
        "Rat43": _rat43,
        "Bennett5": _bennett5,
    }
)
