import pytest

from actors.storage.journal import Journal


@pytest.fixture
def journal(tmp_path):
    with_clock = Journal(tmp_path)
    yield with_clock
    with_clock.close()
