"""The one exception that a user of the command line is meant to read."""


class InputError(ValueError):
    """Input that cannot be used: says in one sentence what, where, and what to do about it.

    The command line prints the sentence and exits with code 2; everything else is a defect of ours
    and keeps its traceback.
    """
