"""Mistakes: what the person at the other end can mend."""


class Mistake(Exception):  # the base of errors that are not the program's
    """Something asked for or given cannot be used; ``str()`` is a sentence that says what, and what to do.

    The command line prints it without a traceback.
    """
