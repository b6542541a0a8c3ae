"""What tapegrad raises.

Every message names the operation, what was found, what was wanted and, where one is known, the line of
the user's code: `describe` puts them together, so that all of them read alike.
"""

from __future__ import annotations

from typing import Any

from numpy.linalg import LinAlgError


class TapegradError(Exception):
    """Base class of every error that tapegrad raises on purpose."""


class ShapeError(TapegradError, ValueError):
    """Shapes that do not fit the operation, or an output that is not a scalar."""


class DtypeError(TapegradError, TypeError):
    """A dtype that cannot be differentiated or recorded: integer or complex parameters, object arrays."""


class ComplexError(DtypeError):
    """Complex numbers where only real ones can be recorded."""


class UnsupportedError(TapegradError, TypeError):
    """A function, or a way to call one, for which tapegrad has no rule."""


class ConversionError(TapegradError, TypeError):
    """A Variable turned into a plain number or array, which would cut the derivative silently."""


class LeakedVariableError(TapegradError, RuntimeError):
    """A Variable used outside the recording it belongs to."""

    recorders: tuple[Any, ...] = ()  # the two recordings that met: one may be within the other


class CapturedArrayError(TapegradError, RuntimeError):
    """An array that a recorded function captured has been changed in place since."""


class BranchError(TapegradError, RuntimeError):
    """A tape without its function, for arguments with which a branch would go another way than recorded."""


class TapeFileError(TapegradError, OSError):
    """A file that is no tape, or not the one it says it is: wrong, truncated, changed."""


class ElementIndexError(TapegradError, IndexError):
    """An index outside the axis it selects from."""


class LinearAlgebraError(TapegradError, LinAlgError):
    """A matrix that cannot be inverted or decomposed: singular, not positive definite, not converging."""


class NonFiniteError(TapegradError, FloatingPointError):
    """A nan or an infinity in a result, with `debug=True`: the instruction and the line that made it."""


class GradientCheckError(TapegradError, AssertionError):
    """A derivative that disagrees with central finite differences."""


class SettingError(TapegradError, ValueError):
    """A setting, an option or an environment variable, with a value that makes no sense."""


class MemoryLimitError(TapegradError, MemoryError):
    """A sweep that cannot do with so little memory, whatever it computes again."""


class MissingExtraError(TapegradError, ImportError):
    """Something that an extra of tapegrad installs is not there."""


class CheckpointError(TapegradError, OSError):
    """A checkpoint that cannot be written or read, or that is of another model."""


class StaleKernelsError(TapegradError, RuntimeError):
    """The op table was edited without generating the kernels again."""


class BoundsError(TapegradError, RuntimeError):
    """An instruction of a program that would touch memory outside its buffers (bounds-checking mode)."""


class FitWarning(UserWarning):
    """A fit that is not what was meant: a parameter that the loss ignores, a loss that is not finite."""


class RandomnessWarning(UserWarning):
    """A function that draws random numbers while it is recorded: they are constants of the recording."""


class RerecordingWarning(UserWarning):
    """A function that is recorded again and again because its branches keep changing."""


def describe(operation: str, *, found: str, wanted: str, line: str = "") -> str:
    """One message in the common form.

    >>> print(describe("add", found="shapes (2,) and (3,)", wanted="shapes that broadcast", line="m.py:7"))
    add: found shapes (2,) and (3,); wanted shapes that broadcast (at m.py:7)
    """
    place = f" (at {line})" if line else ""
    return f"{operation}: found {found}; wanted {wanted}{place}"
