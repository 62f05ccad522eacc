import runpy
from pathlib import Path


def test_the_example_runs_and_says_what_it_should(capsys):
    runpy.run_path(str(Path(__file__).with_name("example.py")), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == [
        "{'one': 1, 'two': 2}",
        "[('poison', 'ValueError: this word kills')]",
        "2 restarts",
    ]
