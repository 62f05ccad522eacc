"""What a program is told when its question has no answer: always one object of one shape."""

import msgspec

from wadm.questions import QuestionError


class RepeatedParameterError(QuestionError):
    """A parameter was given more than once."""

    status = 400
    code = "repeated_parameter"


class RefusedRequestError(QuestionError):
    """A request that is refused for what it is, not for what it asks."""

    def __init__(self, status: int, code: str, parameter: str, value: str, expected: str) -> None:
        super().__init__(parameter, value, expected)
        self.status, self.code = status, code


def error(
    code: str,
    message: str,
    parameter: str | None = None,
    value: str | None = None,
    expected: str | None = None,
) -> dict[str, object]:
    """Return the body of an error. ``code`` is stable; ``message`` is a sentence for a person."""
    return {
        "error": {
            "code": code,
            "message": message,
            "parameter": parameter,
            "value": None if value is None else value[:200],
            "expected": expected,
        }
    }


def question_error(asked: QuestionError) -> dict[str, object]:
    """Return the body for a question that cannot be answered as it was asked."""
    return error(asked.code, str(asked), asked.parameter, asked.value, asked.expected)


def encode_error(code: str, message: str) -> bytes:
    """Return the body of an error as JSON."""
    return msgspec.json.encode(error(code, message))
