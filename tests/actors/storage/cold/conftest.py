import pytest

from actors.storage.cold.archive import Archive
from actors.storage.cold.objects import Objects


@pytest.fixture(params=["folder", "s3"])
def url(request, tmp_path):
    """An address of either kind, with nothing there yet."""
    if request.param == "folder":
        return str(tmp_path / "cold")
    s3 = request.getfixturevalue("s3")
    return s3.url(s3.new_bucket())


@pytest.fixture
def objects(url):
    return Objects(url)


@pytest.fixture
def archive(objects):
    return Archive(objects)


@pytest.fixture
def local(tmp_path):
    """An archive in a folder, for what is the same everywhere."""
    return Archive(Objects(str(tmp_path / "cold")))
