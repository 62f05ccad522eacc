"""What a program is told when its request has no answer: problem details (RFC 9457), always of one shape."""

import msgspec

from wadm.questions import QuestionError

CONTENT_TYPE = "application/problem+json"

#: A problem's type is this and its code: a name for programs, behind which there is no page.
TYPE = "urn:wadm:problem:"


class RepeatedParameterError(QuestionError):
    """A parameter was given more than once."""

    status = 400
    code = "repeated_parameter"


class RefusedRequestError(QuestionError):
    """A request that is refused for what it is, not for what it asks."""

    def __init__(self, status: int, code: str, parameter: str, value: str, expected: str) -> None:
        super().__init__(parameter, value, expected)
        self.status, self.code = status, code


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    parameter: str | None = None,
    value: str | None = None,
    expected: str | None = None,
) -> dict[str, object]:
    """Return the body. ``code`` is stable; ``detail`` is a sentence for a person."""
    return {
        "type": f"{TYPE}{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "parameter": parameter,
        "value": None if value is None else value[:200],
        "expected": expected,
    }


def question_problem(asked: QuestionError) -> dict[str, object]:
    """Return the body for a question that cannot be answered as it was asked."""
    return problem(
        asked.status,
        asked.code,
        str(asked),
        parameter=asked.parameter,
        value=asked.value,
        expected=asked.expected,
    )


def encode_problem(status: int, code: str, detail: str) -> bytes:
    """Return the body as JSON."""
    return msgspec.json.encode(problem(status, code, detail))
