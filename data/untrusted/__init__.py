"""Guards for files that others made: they run nothing, read nothing outside, and take no more memory than
there is. Each one raises `Refused` before the library behind it decodes anything.
"""

from rolling.common.errors import InputError


class Refused(InputError):
    """What a file asks for and does not get."""
