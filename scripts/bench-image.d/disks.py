"""The three disks that scripts/bench-image measures with, as sparse raw files."""

import os
import random
import shutil
import subprocess
from pathlib import Path

MIB = 1 << 20
GIB = 1 << 30

# About 1.4 GB when installed: compilers, interpreters, a database, a kernel with its modules, documentation.
PACKAGES = (
    "linux-image-amd64 build-essential git python3-full postgresql nginx default-jre-headless golang-go perl-doc"
    " vim-nox manpages-dev"
).split()
# What a file system needs besides the files themselves, as a part of its size.
MOST_FILLED = 0.42


def make_debian(path, factor, say):
    """(a) A Debian as it is after the installation of its packages: ext4 behind 1 MiB. Says where the files are from."""
    size = int(4 * GIB * factor)
    tree = path.with_suffix(".tree")
    # What would not fit anyway is not installed.
    packages = PACKAGES if factor >= 0.5 else PACKAGES[:2]
    origin = install_debian(path, tree, packages, say) or "this machine's /usr"
    source = tree if origin != "this machine's /usr" else Path("/usr")
    chosen = path.with_suffix(".chosen")
    copied = copy_files(source, chosen, int(size * MOST_FILLED))
    with open(path, "wb") as disk:
        disk.truncate(size)
    # The tree's files belong to whoever runs this; a benchmark does not care.
    subprocess.run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-E", f"offset={MIB},hash_seed=746f6d62-6f6c-4f00-8000-62656e636800",
         "-d", str(chosen), str(path), f"{(size - MIB) // 1024}k"],
        check=True, env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"})
    shutil.rmtree(chosen)
    shutil.rmtree(tree, ignore_errors=True)
    return f"{copied / 1e6:.0f} MB of {origin} on ext4"


def install_debian(path, tree, packages, say):
    """Fills the directory with the files of a Debian; None when that cannot be done here."""
    if not shutil.which("mmdebstrap"):
        say("mmdebstrap is missing (scripts/install-dependencies bench): taking the files of this machine's /usr")
        return None
    archive, log = path.with_suffix(".tar"), path.with_suffix(".log")
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    codename = release["VERSION_CODENAME"].strip('"')
    # Debian's own suites among the system's, so that a local mirror is used.
    found = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages",
         "Origin: Debian"], capture_output=True, text=True, check=False).stdout
    suites = sorted({line for line in found.splitlines() if "-backports " not in line})
    sources = "".join(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {suite}\n" for suite in suites)
    say(f"installing Debian {codename} with {' '.join(packages)}: some minutes")
    with open(log, "wb") as output:
        result = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=important", "--skip=output/dev", "--dpkgopt=force-unsafe-io",
             "--aptopt=Acquire::Languages \"none\"", f"--include={','.join(packages)}", codename, str(archive), "-"],
            input=sources.encode(), stdout=output, stderr=subprocess.STDOUT, check=False)
    if result.returncode != 0:
        last = log.read_text(errors="replace").splitlines()[-3:]
        say(f"mmdebstrap failed ({' / '.join(last)}): taking the files of this machine's /usr")
        archive.unlink(missing_ok=True)
        return None
    tree.mkdir()
    subprocess.run(["tar", "--no-same-owner", "--no-same-permissions", "--mode=u+rwX", "-xf", str(archive), "-C",
                    str(tree)], check=True)
    archive.unlink()
    log.unlink()
    return f"Debian {codename}"


def copy_files(source, target, budget):
    """Copies plain files and symbolic links, in the order of their names, until so many bytes are there."""
    copied = 0
    for directory, directories, files in os.walk(source):
        directories.sort()
        # Neither what changes while it is copied nor what is not a disk's.
        directories[:] = [name for name in directories if not os.path.ismount(os.path.join(directory, name))]
        into = target / os.path.relpath(directory, source)
        into.mkdir(parents=True, exist_ok=True)
        for name in sorted(files):
            original = os.path.join(directory, name)
            try:
                if os.path.islink(original):
                    os.symlink(os.readlink(original), into / name)
                elif os.path.isfile(original):
                    # Whole blocks, and a little for the name.
                    need = (os.path.getsize(original) + 4095) // 4096 * 4096 + 256
                    if copied + need <= budget:
                        shutil.copyfile(original, into / name)
                        copied += need
            except OSError:
                continue
    return copied


def make_sparse(path, factor, _say):
    """(b) 5 % of data in pieces of 4 KiB to 1 MiB, half of it packs to about a third, all over the disk."""
    size = int(10 * GIB * factor)
    chance = random.Random(20)
    words = [chance.randbytes(chance.randrange(2, 9)) for _ in range(400)]
    with open(path, "wb") as disk:
        disk.truncate(size)
        left = size // 20
        while left > 0:
            length = min(4096 * chance.randrange(1, 257), left)
            disk.seek(chance.randrange((size - length) // 4096) * 4096)
            if chance.random() < 0.5:
                disk.write(chance.randbytes(length))
            else:
                disk.write(b" ".join(chance.choices(words, k=length // 4))[:length])
            left -= length
    return "5 % data in pieces of 4 KiB to 1 MiB"


def make_incompressible(path, factor, _say):
    """(c) Noise from the first byte to the last."""
    size = int(2 * GIB * factor)
    chance = random.Random(30)
    with open(path, "wb") as disk:
        for _ in range(0, size, MIB):
            disk.write(chance.randbytes(MIB))
    return "noise"


MAKERS = {"a": make_debian, "b": make_sparse, "c": make_incompressible}
