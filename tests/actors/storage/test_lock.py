import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors.storage import lock
from actors.storage.errors import StorageError
from actors.storage.lock import DirectoryLock, make_directory

HOLDER = """
import sys
from pathlib import Path
from actors.storage.lock import DirectoryLock

with DirectoryLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        sentence = f"data directory {tmp_path} is in use by process {holder.pid}: "
        with pytest.raises(StorageError) as caught:
            DirectoryLock(tmp_path).acquire()
        assert str(caught.value).startswith(sentence)
        holder.kill()
    with DirectoryLock(tmp_path):
        assert (tmp_path / "wadm.lock").read_text() == str(os.getpid())


LEAVER = """
import subprocess
import sys
from pathlib import Path
from actors.storage.lock import DirectoryLock

lock = DirectoryLock(Path(sys.argv[1]))
lock.acquire()
left = [sys.executable, "-c", "import sys; print('left', flush=True); sys.stdin.read()"]
subprocess.Popen(left, pass_fds=[lock.fileno()])
"""


def test_what_a_dead_process_has_left_behind_is_waited_for(tmp_path, monkeypatch):
    command = [sys.executable, "-c", LEAVER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as dead:
        assert dead.stdout.readline() == "left\n"
        assert dead.wait() == 0
        with monkeypatch.context() as hurried:
            hurried.setattr(lock, "ENDING", 0.02)
            with pytest.raises(StorageError, match="in use by process"):
                DirectoryLock(tmp_path).acquire()
        dead.stdin.close()
        with DirectoryLock(tmp_path):
            assert (tmp_path / "wadm.lock").read_text() == str(os.getpid())


def test_the_lock_is_free_again_after_release(tmp_path):
    first, second = DirectoryLock(tmp_path), DirectoryLock(tmp_path)
    first.acquire()
    with pytest.raises(StorageError, match="in use"):
        second.acquire()
    first.release()
    first.release()
    second.acquire()
    second.release()


def test_the_directory_is_made_with_its_parents(tmp_path):
    with DirectoryLock(tmp_path / "deep" / "data"):
        assert (tmp_path / "deep" / "data").is_dir()


def test_a_path_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match="is a file or lies below one"):
            make_directory(path)


def test_a_directory_that_cannot_be_written_is_refused():
    with pytest.raises(StorageError, match="data directory /proc/nowhere cannot be used"):
        DirectoryLock(Path("/proc/nowhere")).acquire()
