"""Errors that a user can act on: one sentence each, and the exit code of the command line."""


class VoxseedError(Exception):
    """Base of all errors that Voxseed raises on purpose; its text is shown without a traceback."""

    exit_code = 1


class InputError(VoxseedError):
    """Something the user gave cannot be used.

    The message names the file or argument, what was found, what was expected, and what to do.
    """

    exit_code = 2


class UnknownNameError(InputError):
    """A name that is not registered; the message lists the known ones."""


class UnwritableError(InputError):
    """A disk is full or a place cannot be written to: what was to be written can be written later."""


class InterruptedRunError(VoxseedError):
    """A run was stopped before its end and can be resumed; the message says how."""

    exit_code = 3


class LostProcessError(VoxseedError):
    """Another process of a training ended, and this one with it; what ended that one decides how to go on."""


class ShapeError(ValueError):
    """Tensors or arrays given to a library function do not fit together."""
