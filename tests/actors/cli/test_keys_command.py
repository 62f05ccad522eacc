"""``wadm keys`` and ``wadm audit`` as they are typed."""

import json

import pytest

from actors.access.register import Register
from actors.cli import main


@pytest.fixture
def keys(tmp_path, capsys):
    def call(command, *arguments):
        status = main([*command.split(), *arguments, "--data-dir", str(tmp_path)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_a_key_is_shown_once_and_listed_without_its_secret(keys):
    status, out, _ = keys("keys create", "agent", "--permission", "write")
    text = out.splitlines()[0]
    assert (status, text[:5]) == (0, "wadm_")
    assert "It works until" in out
    _, listed, _ = keys("keys list")
    assert text.split("_")[1] in listed
    assert text.split("_", 2)[2] not in listed
    assert "write" in listed


def test_a_key_is_put_into_a_file(keys, tmp_path):
    file = tmp_path / "agent.key"
    _, out, _ = keys("keys create", "agent", "--file", str(file))
    assert "wadm_" not in out
    assert file.read_text().startswith("wadm_")
    before = file.read_text()
    keys("keys rotate", "agent")
    assert file.read_text() not in ("", before)


def test_it_is_rotated_and_revoked(keys, tmp_path):
    keys("keys create", "agent")
    _, out, _ = keys("keys rotate", "agent", "--json")
    assert json.loads(out)["key"].startswith("wadm_")
    status, out, _ = keys("keys revoke", "agent")
    assert (status, out.count("is revoked")) == (0, 2)
    _, out, _ = keys("audit", "--json")
    assert [json.loads(line)["action"] for line in out.splitlines()] == [
        "key_created", "key_rotated", "key_revoked", "key_revoked",
    ]  # fmt: skip
    assert keys("audit", "--verify") == (0, "The audit log is whole.\n", "")
    register = Register(tmp_path)
    register._db.execute("DROP TRIGGER audit_keeps_update")
    register._db.execute("UPDATE audit SET who = 'nobody' WHERE id = 2")
    register.close()
    status, out, _ = keys("audit", "--verify")
    assert (status, out.split(" of ")[0]) == (1, "Line 2")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("keys create", "a b"), "name is 'a b'"),
        (("keys create", "agent", "--file", "/nowhere/at/all"), "expected a file in a directory"),
        (("keys rotate", "nobody"), "no key is called 'nobody'"),
        (("keys revoke", "nobody"), "no working key is called 'nobody'"),
        (("audit",), "has no access.sqlite3"),
    ],
)
def test_a_mistake_is_one_sentence(keys, typed, says):
    status, out, err = keys(*typed)
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_a_wrong_time_is_one_sentence(keys):
    keys("keys create", "agent")
    status, _, err = keys("audit", "--since", "yesterday")
    assert status == 2
    assert "--since is 'yesterday'" in err
