"""The one error of bad input: a sentence that names file, field, what was found and what was expected."""


class BadInput(Exception):
    """Raised where data enters; the command line prints it alone and exits with 2."""

    def __init__(self, file: object, field: str, found: object, expected: object):
        self.file, self.field, self.found, self.expected = str(file), field, str(found), str(expected)
        super().__init__(f"{file}: {field} is {found}, expected {expected}")

    def __reduce__(self) -> tuple:
        """Lets the error come back from a worker process as itself."""
        return BadInput, (self.file, self.field, self.found, self.expected)
