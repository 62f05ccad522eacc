from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.market import DAY, HOUR, MINUTE
from wadm.sessions import UTC_DAY, Session, SessionError

ZONES = ["UTC", "America/Chicago", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("session", "at", "start", "end"),
    [
        ("00:00@UTC", "2024-08-08T13:00", "2024-08-08T00:00", "2024-08-09T00:00"),
        ("17:00@America/Chicago", "2024-08-08T21:59", "2024-08-07T22:00", "2024-08-08T22:00"),
        ("17:00@America/Chicago", "2024-08-08T22:00", "2024-08-08T22:00", "2024-08-09T22:00"),
        # the clocks go forward on 2024-03-10 and back on 2024-11-03
        ("17:00@America/Chicago", "2024-03-10T12:00", "2024-03-09T23:00", "2024-03-10T22:00"),
        ("17:00@America/Chicago", "2024-11-03T12:00", "2024-11-02T22:00", "2024-11-03T23:00"),
        # 02:30 does not exist on 2024-03-10 (it begins at 03:30 CDT), and comes twice on 2024-11-03
        ("02:30@America/Chicago", "2024-03-10T12:00", "2024-03-10T08:30", "2024-03-11T07:30"),
        ("01:30@America/Chicago", "2024-11-03T12:00", "2024-11-03T06:30", "2024-11-04T07:30"),
        ("09:15@Asia/Kolkata", "2024-08-08T03:45", "2024-08-08T03:45", "2024-08-09T03:45"),
    ],
)
def test_a_session_lasts_from_its_local_time_to_the_next_days(
    session: str, at: str, start: str, end: str
) -> None:
    assert Session.parse(session).window(us(at)) == (us(start), us(end))


@given(
    st.integers(us("2000-01-01"), us("2030-01-01")),
    st.integers(0, 23),
    st.integers(0, 59),
    st.sampled_from(ZONES),
)
def test_sessions_follow_one_another_without_a_hole(at: int, hour: int, minute: int, zone: str) -> None:
    session = Session.parse(f"{hour:02}:{minute:02}@{zone}")
    start, end = session.window(at)
    assert start <= at < end
    assert start % MINUTE == end % MINUTE == 0
    assert 22 * HOUR <= end - start <= 2 * DAY + HOUR
    assert session.window(start) == session.window(end - 1) == (start, end)
    assert session.window(end)[0] == end
    before, last = session.last(2, at)
    assert last == (start, end)
    assert before[1] == start


def test_the_day_of_utc_is_a_session_like_the_others() -> None:
    assert Session.parse("00:00@UTC") == UTC_DAY
    assert str(Session.parse("17:00@America/Chicago")) == "17:00@America/Chicago"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "17:00",
        "25:00@UTC",
        "17:60@UTC",
        "7:00@UTC",
        "17:00@Nowhere/Land",
        "17:00@../etc",
        "17:00@America",
    ],
)
def test_what_names_no_session_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SessionError, match="17:00@America/Chicago"):
        Session.parse(text)
