"""The files of a release, with the built function: the templates as release/release.py makes them, and the zip of the debug build."""

import subprocess
import zipfile

import release
from servers import PROGRAMS


def write_release(folder):
    release.write_template(folder)
    bootstrap = folder / "bootstrap"
    # Without its debug information, which is half of it.
    subprocess.run(["strip", "-o", bootstrap, PROGRAMS / "ami-courier"], check=True)
    # release.zip_code refuses a debug build, whose paths are those of this machine.
    with zipfile.ZipFile(folder / f"ami-courier-{release.version()}-x86_64.zip", "w") as archive:
        archive.write(bootstrap, "bootstrap")
    bootstrap.unlink()
    release.write_sums(folder)
    return folder
