"""The one exception that is written for users of the command line."""


class InputError(ValueError):
    """Unusable input: one sentence says what, where, and what to do about it.

    The command line prints the sentence and exits with code 2. Any other exception is a defect of the project
    and keeps its traceback.
    """
