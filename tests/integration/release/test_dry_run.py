"""A release without GitHub: the scripts of its workflow, word for word, and a registry on this machine.

What cannot be tried so: the images (docker/build-push-action makes them, for two architectures, with provenance and
SBOM), the identity in a signature (Sigstore gives it), PyPI and the release itself. `cosign` and `gh` stand here for
commands that need the service: they note how they are called. One test signs with cosign itself and a key of its own,
where it is built (`make test-release`). `tests/unit/laws/test_public_face.py` holds the steps to their options.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import yaml

import tools
import version as version_script
from support.certificates import self_signed
from support.documents import ROOT

JOBS: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/release.yaml").read_text())["jobs"]
TARGETS: list[str] = JOBS["images"]["strategy"]["matrix"]["target"]
VERSION = version_script.version()
DIGEST = f"sha256:{'0123456789abcdef' * 4}"
ELSEWHERE = {"make test-unit", "make check"}  # what CI does too
STAND_IN = '#!/bin/sh\necho "$(basename "$0") $*" >> "$TOLD"\n'
# What the workflow has from Sigstore: a key, and here nothing that logs its use.
WITH_A_KEY = """#!/bin/sh
case "$1" in sign) set -- "$@" --key "$HOME/cosign.key" --signing-config "$HOME/signing.json" ;; esac
exec "$COSIGN" "$@"
"""


def scripts(job: str) -> list[str]:
    """What a job runs, apart from what CI runs as well."""
    return [step["run"] for step in JOBS[job]["steps"] if step.get("run", "make check") not in ELSEWHERE]


class Tree(NamedTuple):
    """A copy of the tree, and the environment in which scripts run there."""

    path: Path
    environment: dict[str, str]

    def run(self, script: str, **variables: str) -> str:
        """Run a script as the workflow does: what it prints.

        Raises:
            CalledProcessError: a command of it failed.
        """
        environment = self.environment | variables
        command = ["bash", "--noprofile", "--norc", "-e", "-c", script]
        done = subprocess.run(
            command, cwd=self.path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise subprocess.CalledProcessError(done.returncode, script, done.stdout)
        return done.stdout

    @property
    def told(self) -> list[str]:
        """The calls of commands that need the service."""
        file = Path(self.environment["TOLD"])
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """The files that git has or would take; commands of the runner beside them."""
    path, bin_ = tmp_path / "tree", tmp_path / "bin"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/", "bench/")):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes((ROOT / name).read_bytes())
    (path / ".venv").symlink_to(ROOT / ".venv")
    bin_.mkdir()
    (bin_ / "helm").symlink_to(tools.ensure("helm"))
    for name in ("cosign", "gh"):
        (bin_ / name).write_text(STAND_IN)
        (bin_ / name).chmod(0o755)
    environment = {
        "HOME": str(tmp_path), "PATH": f"{bin_}:{os.environ['PATH']}", "TOLD": str(tmp_path / "told"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }  # fmt: skip
    return Tree(path, environment)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A registry on 127.0.0.1, as variables of the environment: its address, and the certificate that it has."""
    certificate, key = self_signed(tmp_path)
    command = [tools.ensure("oci-registry"), certificate, key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert urlsplit(f"//{address}").port
        yield {"REGISTRY": address, "SSL_CERT_FILE": str(certificate)}
        process.terminate()


def test_every_script_of_the_workflow_is_tried() -> None:
    assert {job: len(scripts(job)) for job in JOBS} == {
        "build": 3, "images": 1, "chart": 1, "package": 0, "release": 1,
    }  # fmt: skip


def test_a_tag_is_the_version(tree: Tree) -> None:
    check, *_ = scripts("build")
    tree.run(check, TAG=f"v{VERSION}")
    assert Path(tree.environment["GITHUB_OUTPUT"]).read_text() == f"version={VERSION}\n"
    with pytest.raises(subprocess.CalledProcessError) as refused:
        tree.run(check, TAG="v99.0.0")
    assert f"the tag is v99.0.0, pyproject.toml has {VERSION}" in refused.value.output


def test_the_package_has_every_module_and_nothing_else(tree: Tree) -> None:
    tree.run(scripts("build")[1])
    wheel, sdist = (
        tree.path / f"dist/tiltyard-{VERSION}-py3-none-any.whl",
        tree.path / f"dist/tiltyard-{VERSION}.tar.gz",
    )
    assert sorted((tree.path / "dist").iterdir()) == sorted([wheel, sdist])
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    roots = [tree.path / "operator", tree.path / "jobs"]
    assert names == {str(file.relative_to(root)) for root in roots for file in root.rglob("*") if file.is_file()}
    assert "tiltyard/py.typed" in names


def test_the_chart_that_is_pushed_is_the_one_that_is_signed_and_installed(tree: Tree, registry: dict[str, str]) -> None:
    tree.run(scripts("build")[2])
    (push,) = scripts("chart")
    tree.run(push, OWNER="tiltyard", USER="somebody", TOKEN="t", **registry)
    place = f"{registry['REGISTRY']}/tiltyard/charts/tiltyard"
    login, sign = tree.told
    assert login.startswith(f"cosign login {registry['REGISTRY']} --username somebody")
    digest = sign.rpartition("@")[2]
    assert sign == f"cosign sign --yes {place}@{digest}"
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    from_registry = tree.run(f"helm template arena oci://{place}@{digest}", **registry)
    by_version = tree.run(f"helm template arena oci://{place} --version {VERSION}", **registry)
    manifests = [re.sub(r"^(?:Pulled|Digest): .*\n", "", text, flags=re.M) for text in (from_registry, by_version)]
    assert manifests == [tree.run("helm template arena charts/tiltyard")] * 2


@pytest.fixture
def cosign(tree: Tree) -> Path:
    """cosign itself in the place of its stand-in, with a key in the home of the scripts; its public half."""
    if not tools.binary("cosign").exists():
        pytest.skip("cosign is not built: make test-release builds it, in about 15 minutes")
    home = Path(tree.environment["HOME"])
    tree.environment.update(COSIGN=str(tools.binary("cosign")), COSIGN_PASSWORD="")
    (home / "bin/cosign").write_text(WITH_A_KEY)
    tree.run("cosign signing-config create --out ~/signing.json && cd ~ && cosign generate-key-pair")
    return home / "cosign.pub"


def test_what_cosign_signs_is_verified_and_nothing_else(tree: Tree, registry: dict[str, str], cosign: Path) -> None:
    verify = "cosign verify --insecure-ignore-tlog=true --key"
    tree.run(scripts("build")[2])
    with tree.path.joinpath("chart/Chart.yaml").open("w") as other:
        other.write("apiVersion: v2\nname: other\nversion: 1.0.0\n")
    place = f"{registry['REGISTRY']}/tiltyard"
    pushed = tree.run(f"helm package chart && helm push other-1.0.0.tgz oci://{place}", **registry)
    unsigned = f"{place}/other@{re.findall('Digest: (.*)', pushed)[0]}"
    tree.run(scripts("chart")[0], OWNER="tiltyard", USER="somebody", TOKEN="t", **registry)
    chart = f"{place}/charts/tiltyard:{VERSION}"
    (statement,) = json.loads(tree.run(f"{verify} {cosign} {chart} 2> /dev/null", **registry))
    pulled = tree.run(f"helm pull oci://{place}/charts/tiltyard --version {VERSION}", **registry)
    assert f"Digest: {statement['critical']['image']['docker-manifest-digest']}\n" in pulled
    with pytest.raises(subprocess.CalledProcessError) as refused:
        tree.run(f"{verify} {cosign} {unsigned}", **registry)
    assert "no signatures found" in refused.value.output
    tree.run("cd ~ && cosign generate-key-pair --output-key-prefix another")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        tree.run(f"{verify} ~/another.pub {chart}", **registry)
    assert "failed to verify signature" in refused.value.output


def test_a_chart_that_cannot_be_pushed_fails_and_is_not_signed(tree: Tree, registry: dict[str, str]) -> None:
    (tree.path / "chart").mkdir()
    (tree.path / f"chart/tiltyard-{VERSION}.tgz").write_bytes(b"no chart")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        tree.run(scripts("chart")[0], OWNER="tiltyard", USER="somebody", TOKEN="t", **registry)
    assert "Error" in failed.value.output
    assert not [call for call in tree.told if call.startswith("cosign sign")]


def test_each_image_is_signed_by_its_digest_and_listed(tree: Tree) -> None:
    (sign,) = scripts("images")
    signed = []
    for target in TARGETS:
        tree.run(sign, OWNER="tiltyard", TARGET=target, DIGEST=DIGEST, REGISTRY="ghcr.io")
        image = f"ghcr.io/tiltyard/{target}@{DIGEST}"
        assert (tree.path / f"image-{target}.txt").read_text() == f"{image}\n"
        signed.append(f"cosign sign --yes {image}")
    assert tree.told == signed


def test_the_notes_are_the_versions_section_beside_all_files(tree: Tree) -> None:
    (release,) = scripts("release")
    variables = {"TAG": f"v{VERSION}", "VERSION": VERSION, "GH_TOKEN": "t"}
    with pytest.raises(subprocess.CalledProcessError) as refused:
        tree.run(release, **variables | {"VERSION": "99.0.0"})
    assert "CHANGELOG.md has no section for 99.0.0" in refused.value.output
    changelog = tree.path / "CHANGELOG.md"
    changelog.write_text(
        changelog.read_text().replace("## [Unreleased]", f"## [Unreleased]\n\n## [{VERSION}] - 2026-12-01")
    )
    files = [f"image-{target}.txt" for target in TARGETS]
    files += [f"tiltyard-{VERSION}-py3-none-any.whl", f"tiltyard-{VERSION}.tar.gz", f"tiltyard-{VERSION}.tgz"]
    (tree.path / "assets").mkdir()
    for name in files:
        (tree.path / "assets" / name).write_text("")
    tree.run(release, **variables)
    notes = (tree.path / "notes.md").read_text()
    assert notes.lstrip().startswith("### Added\n")
    assert "\n## " not in notes
    (call,) = tree.told
    assert call.startswith(f"gh release create v{VERSION} ")
    assert set(re.findall(r"assets/(\S+)", call)) == set(files)
    assert call.endswith(f"--verify-tag --title v{VERSION} --notes-file notes.md")
