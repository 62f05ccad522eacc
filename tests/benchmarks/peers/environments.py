"""The peers' environments: one each under ``build/peers``, made once, with uv where it is found, else pip."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]
PLACE = CHECKOUT / "build" / "peers"

#: Runs our code behind its own receiver, so that it needs our packages too.
SHARES_OUR_CODE = "picows"


class InstallError(Exception):
    """A peer could not be installed, for the reason given."""


def ready(name: str) -> Path:
    """Return the Python of a peer's environment, made now unless it is there. Raises InstallError.

    It is made anew where its requirements, or our Python, have changed.
    """
    requirements = HERE / "requirements" / f"{name}.txt"
    place = PLACE / name
    python, stamp = place / "bin" / "python", place / "installed"
    wanted = f"{sys.version}\n{requirements.read_text()}"
    if not (python.exists() and stamp.exists() and stamp.read_text() == wanted):
        print(f"installing {name} in {place.relative_to(CHECKOUT)}", file=sys.stderr, flush=True)
        shutil.rmtree(place, ignore_errors=True)
        _install(place, python, requirements)
        stamp.write_text(wanted)
    if name == SHARES_OUR_CODE:
        _share(place)
    return python


def _install(place: Path, python: Path, requirements: Path) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is not None:
        _run(uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(place))
        _run(uv, "pip", "install", "--quiet", "--python", str(python), "-r", str(requirements))
    else:
        _run(sys.executable, "-m", "venv", str(place))
        _run(str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements))


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        last = [line[:200] for line in done.stdout.strip().splitlines()[-6:]]
        raise InstallError(f"{' '.join(command)} failed:\n  " + "\n  ".join(last))


def _share(place: Path) -> None:
    """Let an environment find the checkout and our packages, behind its own."""
    packages = next(place.glob("lib/python3*/site-packages"))
    packages.joinpath("checkout.pth").write_text(f"{CHECKOUT}\n{sysconfig.get_path('purelib')}\n")


def versions(python: Path, name: str) -> dict[str, str]:
    """Return the versions of what a peer's requirements pin, as installed."""
    lines = (HERE / "requirements" / f"{name}.txt").read_text().splitlines()
    pinned = [line.partition("==")[0] for line in lines if "==" in line]
    script = "import sys, importlib.metadata as m; print(*(m.version(one) for one in sys.argv[1:]))"
    done = subprocess.run([python, "-c", script, *pinned], stdout=subprocess.PIPE, text=True, check=True)
    return dict(zip(pinned, done.stdout.split(), strict=True))
