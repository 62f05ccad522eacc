"""Every question that cannot be answered is refused with its sentence, its code and its HTTP status."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.analytics.profile import ValueAreaMethod
from wadm.answers.asking import WINDOW, read
from wadm.answers.registry import QUESTIONS
from wadm.market import Instrument
from wadm.questions import (
    ConflictingParameters,
    MissingParameter,
    QuestionError,
    Unavailable,
    UnknownExchange,
    UnknownParameter,
    UnknownSymbol,
    find_instrument,
)
from wadm.sessions import EXPECTED

D = Decimal
PROFILE = QUESTIONS["profile"]
PARAMETERS = (*WINDOW, *(parameter.name for parameter in PROFILE.parameters))
INSTRUMENTS = {
    instrument.key: instrument
    for instrument in (
        Instrument("binance", "BTCUSDT", D("0.01")),
        Instrument("binance", "ETHUSDT", D("0.01")),
        Instrument("binance", "NEWUSDT"),
        Instrument("binance", "PEPEUSDT", D("1E-8")),
        Instrument("bybit", "BTCUSDT", D("0.10")),
    )
}
GOOD = {"exchange": "binance", "symbol": "BTCUSDT", "timeframe": "1m"}
SYMBOLS = "one of BTCUSDT, ETHUSDT, NEWUSDT, PEPEUSDT"
FRAMES = "one of 1m, 5m, 15m, 1h, 4h, 1d, session"
TIME = "an ISO 8601 time, such as 2024-08-08T23:55:00Z"
SHARE = "a share of the volume above 0 and up to 1, such as 0.7"
ROWS = "a positive multiple of the symbol's tick, such as 10, or auto"
NAMES = "one of exchange, symbol, timeframe, session, start, end, row_size, value_area, method"
NINES = "9" * 200

#: what is changed in a good question ("" takes the parameter away): the kind of refusal and its sentence
Change = dict[str, str | None]
REFUSED: list[tuple[Change, type[QuestionError], str]] = [
    ({"exchange": None}, MissingParameter, "exchange is missing; expected one of binance, bybit."),
    ({"exchange": ""}, MissingParameter, "exchange is missing; expected one of binance, bybit."),
    (
        {"exchange": "binanc"},
        UnknownExchange,
        "exchange is 'binanc'; expected one of binance, bybit (did you mean binance?).",
    ),
    ({"exchange": "kraken"}, UnknownExchange, "exchange is 'kraken'; expected one of binance, bybit."),
    ({"symbol": None}, MissingParameter, f"symbol is missing; expected {SYMBOLS}."),
    ({"symbol": ""}, MissingParameter, f"symbol is missing; expected {SYMBOLS}."),
    (
        {"symbol": "btcusd"},
        UnknownSymbol,
        f"symbol is 'btcusd'; expected {SYMBOLS} (did you mean BTCUSDT?).",
    ),
    (
        {"exchange": "bybit", "symbol": "ETHUSDT"},
        UnknownSymbol,
        "symbol is 'ETHUSDT'; expected one of BTCUSDT (did you mean BTCUSDT?).",
    ),
    ({"symbol": "x" * 500}, UnknownSymbol, f"symbol is '{'x' * 80}'; expected {SYMBOLS}."),
    ({"timeframe": "2m"}, QuestionError, f"timeframe is '2m'; expected {FRAMES}."),
    ({"timeframe": "1M"}, QuestionError, f"timeframe is '1M'; expected {FRAMES}."),
    ({"timeframe": ""}, QuestionError, f"timeframe is ''; expected {FRAMES}."),
    ({"timeframe": None}, MissingParameter, f"timeframe is missing; expected {FRAMES}, or start and end."),
    (
        {"start": "2024-08-08"},
        ConflictingParameters,
        "timeframe is '1m'; expected either timeframe or start and end, not both.",
    ),
    (
        {"end": "2024-08-08"},
        ConflictingParameters,
        "timeframe is '1m'; expected either timeframe or start and end, not both.",
    ),
    ({"timeframe": None, "start": "2024-08-08"}, MissingParameter, f"end is missing; expected {TIME}."),
    ({"timeframe": None, "end": "2024-08-08"}, MissingParameter, f"start is missing; expected {TIME}."),
    ({"timeframe": None, "start": "x", "end": "y"}, QuestionError, f"start is 'x'; expected {TIME}."),
    ({"timeframe": None, "start": "2024-08-08", "end": ""}, QuestionError, f"end is ''; expected {TIME}."),
    ({"session": "17:00"}, QuestionError, f"session is '17:00'; expected {EXPECTED}."),
    ({"session": "17:00@Mars/Base"}, QuestionError, f"session is '17:00@Mars/Base'; expected {EXPECTED}."),
    (
        {"timeframe": None, "start": "9999-12-31T23:59:00-23:59", "end": "2024-08-09"},
        QuestionError,
        f"start is '9999-12-31T23:59:00-23:59'; expected {TIME}.",
    ),
    (
        {"timeframe": None, "start": "2024-08-08", "end": "2024-08-08"},
        QuestionError,
        "end is '2024-08-08'; expected a time after start (2024-08-08).",
    ),
    (
        {"timeframe": None, "start": "2024-08-09", "end": "2024-08-08"},
        QuestionError,
        "end is '2024-08-08'; expected a time after start (2024-08-09).",
    ),
    ({"row_size": "0"}, QuestionError, "row_size is '0'; expected a positive multiple of the tick 0.01."),
    ({"row_size": "-1"}, QuestionError, "row_size is '-1'; expected a positive multiple of the tick 0.01."),
    (
        {"row_size": "0.015"},
        QuestionError,
        "row_size is '0.015'; expected a positive multiple of the tick 0.01.",
    ),
    (
        {"exchange": "bybit", "row_size": "0.15"},
        QuestionError,
        "row_size is '0.15'; expected a positive multiple of the tick 0.1.",
    ),
    (
        {"symbol": "PEPEUSDT", "row_size": "0.000000015"},
        QuestionError,
        "row_size is '0.000000015'; expected a positive multiple of the tick 0.00000001.",
    ),
    ({"symbol": "NEWUSDT", "row_size": "0"}, QuestionError, "row_size is '0'; expected a positive number."),
    ({"row_size": ""}, QuestionError, f"row_size is ''; expected {ROWS}."),
    ({"row_size": "ten"}, QuestionError, f"row_size is 'ten'; expected {ROWS}."),
    ({"row_size": "1e1"}, QuestionError, f"row_size is '1e1'; expected {ROWS}."),
    ({"row_size": "NaN"}, QuestionError, f"row_size is 'NaN'; expected {ROWS}."),
    ({"row_size": NINES}, QuestionError, f"row_size is '{NINES[:80]}'; expected {ROWS}."),
    *(
        ({"value_area": share}, QuestionError, f"value_area is '{share}'; expected {SHARE}.")
        for share in ("0", "-0.1", "1.000000000000000001", "70", "70%", "", "Infinity")
    ),
    ({"method": "cbot"}, QuestionError, "method is 'cbot'; expected pair or single_row."),
    ({"method": ""}, QuestionError, "method is ''; expected pair or single_row."),
    (
        {"rowsize": "1"},
        UnknownParameter,
        f"rowsize is '1'; expected {NAMES} (did you mean row_size?).",
    ),
    ({"q": "1"}, UnknownParameter, f"q is '1'; expected {NAMES}."),
]
STATUS = {
    QuestionError: (422, "bad_value"),
    MissingParameter: (400, "missing_parameter"),
    ConflictingParameters: (400, "conflicting_parameters"),
    UnknownParameter: (400, "unknown_parameter"),
    UnknownExchange: (404, "unknown_exchange"),
    UnknownSymbol: (404, "unknown_symbol"),
}


def changed(change: Change) -> dict[str, str]:
    return {name: value for name, value in (GOOD | change).items() if value is not None}


@pytest.mark.parametrize(("change", "kind", "sentence"), REFUSED)
def test_a_wrong_question_is_refused_with_its_sentence(
    change: Change, kind: type[QuestionError], sentence: str
) -> None:
    with pytest.raises(QuestionError) as caught:
        read(PROFILE, changed(change), INSTRUMENTS)
    assert str(caught.value) == sentence
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == STATUS[kind]


def test_every_parameter_has_a_wrong_value_in_the_table() -> None:
    assert set(PARAMETERS) <= {str(error).split(" is ")[0] for _, _, error in REFUSED}
    assert {kind for _, kind, _ in REFUSED} == set(STATUS)


@pytest.mark.parametrize("tick", [None, D("0.1"), D("0.01")])
def test_a_row_size_beyond_decimals_own_precision_is_read(tick: Decimal | None) -> None:
    instruments = {"a:B": Instrument("a", "B", tick)}
    asked = {"exchange": "a", "symbol": "B", "timeframe": "1d", "row_size": "9" * 60}
    assert read(PROFILE, asked, instruments).values["row_size"] == D("9" * 60)


def test_what_is_not_given_has_its_default() -> None:
    window = read(PROFILE, GOOD, INSTRUMENTS)
    assert window.instrument is INSTRUMENTS["binance:BTCUSDT"]
    assert (window.timeframe, window.start, window.end) == ("1m", None, None)
    assert window.values == {"row_size": None, "value_area": D("0.7"), "method": ValueAreaMethod.PAIR}


def test_what_is_given_is_read_exactly() -> None:
    window = read(
        PROFILE,
        {
            "exchange": "bybit",
            "symbol": "btcusdt",
            "start": "2024-08-08T23:55:00Z",
            "end": "2024-08-09T02:00:00 02:00",  # the plus sign of a query string arrives as a space
            "row_size": "2.50",
            "value_area": "0.680",
            "method": "single_row",
        },
        INSTRUMENTS,
    )
    assert window.instrument is INSTRUMENTS["bybit:BTCUSDT"]
    assert (window.start, window.end) == (1_723_161_300_000_000, 1_723_161_600_000_000)
    assert window.values == {
        "row_size": D("2.5"), "value_area": D("0.68"), "method": ValueAreaMethod.SINGLE_ROW
    }  # fmt: skip


def test_no_window_means_everything_only_where_that_is_allowed() -> None:
    window = read(PROFILE, {"exchange": "bybit", "symbol": "BTCUSDT"}, INSTRUMENTS, everything=True)
    assert (window.timeframe, window.start, window.end) == (None, None, None)
    with pytest.raises(MissingParameter, match=r"^end is missing"):
        read(
            PROFILE,
            {"exchange": "bybit", "symbol": "BTCUSDT", "start": "2024-08-08"},
            INSTRUMENTS,
            everything=True,
        )


def test_a_daemon_that_follows_nothing_says_so() -> None:
    with pytest.raises(QuestionError) as caught:
        find_instrument("binance", "BTCUSDT", {})
    assert str(caught.value) == (
        "exchange is 'binance'; expected one that this daemon follows; it follows none yet."
    )


def test_a_long_list_of_choices_is_cut_and_counted() -> None:
    many = {f"a:S{number:02}": Instrument("a", f"S{number:02}") for number in range(30)}
    with pytest.raises(UnknownSymbol) as caught:
        find_instrument("a", "?", many)
    listed = ", ".join(f"S{number:02}" for number in range(12))
    assert str(caught.value) == f"symbol is '?'; expected one of {listed} and 18 more."


def test_what_is_not_available_now_may_be_asked_again() -> None:
    error = Unavailable("history", "the store is down")
    assert str(error) == "history is not available: the store is down. Ask again shortly."
    assert (error.status, error.code) == (503, "unavailable")


VALUES = st.text(max_size=30) | st.sampled_from(
    [
        *GOOD.values(), "2024-08-08", "2024-08-09T00:00Z", "0001-01-01T00:00+10:00", "10", "1e5", "9" * 5000,
        "pair", "0.0000000000000000000001", "bybit", "T", " ", "\x00", "٣",
    ]
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(PARAMETERS), VALUES), st.booleans())
def test_whatever_is_asked_is_read_or_refused_in_a_sentence(
    given_text: dict[str, str], everything: bool
) -> None:
    try:
        window = read(PROFILE, given_text, INSTRUMENTS, everything=everything)
    except QuestionError as error:
        sentence = str(error)
    else:
        sentence = "."
        assert window.start is None or window.end is None or window.end > window.start
    assert sentence.endswith(".")
    assert len(sentence) < 400
