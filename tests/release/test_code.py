"""The zip, its checksums, the notes, and the paths that a binary must not contain."""

import os
import subprocess
import sys
import zipfile

import pytest
import release
from stack import ROOT


def script(*arguments):
    return subprocess.run([sys.executable, ROOT / "release" / "release.py", *map(str, arguments)], capture_output=True, text=True, timeout=60)


def sha256sum(folder):
    return subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, timeout=60)


def test_the_zip_holds_an_executable_bootstrap_alone(released, binary):
    with zipfile.ZipFile(released / f"ami-courier-{release.version()}-arm64.zip") as archive:
        (entry,) = archive.infolist()
        assert (entry.filename, oct(entry.external_attr >> 16), entry.create_system) == ("bootstrap", "0o100755", 3)
        assert archive.read(entry) == binary


def test_the_same_binary_gives_the_same_zip_whatever_its_time_and_mode(tmp_path, released, binary):
    bootstrap = tmp_path / "bootstrap"
    bootstrap.write_bytes(binary)
    bootstrap.chmod(0o600)
    os.utime(bootstrap, (1, 1))
    done = script("zip", bootstrap, "x86_64", tmp_path)
    assert done.returncode == 0, done.stderr
    name = f"ami-courier-{release.version()}-x86_64.zip"
    assert (tmp_path / name).read_bytes() == (released / name).read_bytes()


def test_another_binary_gives_another_zip(tmp_path, released, binary):
    (tmp_path / "bootstrap").write_bytes(binary + b"\0")
    assert release.zip_code(tmp_path / "bootstrap", "x86_64", tmp_path).read_bytes() != (released / f"ami-courier-{release.version()}-x86_64.zip").read_bytes()


def test_an_unknown_architecture_is_refused(tmp_path, binary):
    (tmp_path / "bootstrap").write_bytes(binary)
    done = script("zip", tmp_path / "bootstrap", "x86", tmp_path)
    assert done.returncode != 0 and "x86_64, arm64" in done.stderr


def test_the_sums_name_every_file_and_hold(released):
    listed = {line.split("  ")[1] for line in (released / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in released.iterdir()} - {"SHA256SUMS"}
    assert len(listed) == 4
    assert sha256sum(released).returncode == 0


def test_a_tampered_zip_is_refused(tmp_path, released):
    for path in released.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    name = f"ami-courier-{release.version()}-x86_64.zip"
    code = bytearray((tmp_path / name).read_bytes())
    code[len(code) // 2] ^= 1
    (tmp_path / name).write_bytes(code)
    checked = sha256sum(tmp_path)
    assert checked.returncode != 0 and f"{name}: FAILED" in checked.stdout


# ---- No path of the builder's machine


@pytest.mark.parametrize("folder", ["home", "root", "Users", "build", "tmp", "__w"])
def test_a_binary_with_a_path_of_the_builder_is_refused(tmp_path, folder, binary):
    path = f"/{folder}/someone/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/ring-0.17.14/src/a.rs"
    (tmp_path / "bootstrap").write_bytes(binary + path.encode() + b"\0")
    done = script("zip", tmp_path / "bootstrap", "x86_64", tmp_path)
    assert done.returncode != 0 and path in done.stderr and "release/rustflags.sh" in done.stderr


@pytest.mark.parametrize("path", ["/ami-courier/src/main.rs", "/cargo/registry/src/index.crates.io-1949cf8c6b5b557f/ring-0.17.14/src/a.rs", "/rustc/0123/library/core/src/lib.rs", "/etc/ssl/certs"])
def test_other_paths_are_allowed(path, binary):
    assert release.builders_paths(binary + path.encode() + b"\0") == []


def compiled(tmp_path, flags):
    """A small program that contains the path of its own source, as a panic's location does."""
    source = tmp_path / "home" / "someone" / "small.rs"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text('fn main() { let all: Vec<String> = std::env::args().collect(); println!("{}", all[1]); }')
    subprocess.run(["rustc", "-O", "-C", "strip=symbols", *flags, source, "-o", tmp_path / "small"], check=True, cwd=tmp_path, timeout=120)
    return (tmp_path / "small").read_bytes()


def test_the_flags_of_a_release_keep_the_builders_paths_out_of_a_binary(tmp_path):
    """With the flags of rustflags.sh for a builder whose home is in the test's folder; without them the check complains."""
    home = tmp_path / "home"
    environment = {**os.environ, "HOME": str(home), "CARGO_HOME": str(home / ".cargo")}
    flags = subprocess.run([ROOT / "release" / "rustflags.sh"], env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert str(home).encode() in compiled(tmp_path, [])
    assert str(home).encode() not in compiled(tmp_path, flags)


# ---- Notes and tag


CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n- new\n\n## [0.2.0] - 2026-12-01\n\n### Added\n- two\n\n## [0.1.0] - 2026-11-01\n\n- one\n"


def test_the_notes_are_those_of_the_version():
    assert release.notes(CHANGELOG, "0.2.0") == "### Added\n- two"
    assert release.notes(CHANGELOG, "0.1.0") == "- one"
    assert release.notes((ROOT / "CHANGELOG.md").read_text(), "Unreleased").startswith(("###", "**"))


@pytest.mark.parametrize("changelog", [CHANGELOG, CHANGELOG + "\n## [0.3.0]\n\n"], ids=["no section", "an empty section"])
def test_a_version_without_notes_is_not_released(changelog):
    with pytest.raises(release.NotReleasable, match="no notes under"):
        release.notes(changelog, "0.3.0")


def test_only_the_tag_of_cargo_tomls_version_is_released():
    assert script("tag", f"v{release.version()}").returncode == 0
    for tag in ("v9.9.9", release.version()):
        done = script("tag", tag)
        assert done.returncode != 0 and tag in done.stderr
