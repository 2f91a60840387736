"""The one error of bad input: a sentence that names file, field, what was found and what was expected."""


class BadInput(Exception):
    """Raised where data enters; the command line prints it alone and exits with 2."""

    def __init__(self, file: object, field: str, found: object, expected: object):
        self.file, self.field = str(file), field
        super().__init__(f"{file}: {field} is {found}, expected {expected}")
