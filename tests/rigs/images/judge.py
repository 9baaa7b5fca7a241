"""Says whether an image shows the bytes of a raw file, as dissect.hypervisor reads it.

One question for each line of the standard input, one answer for each line of the output, both JSON:

    {"reader": "vhd", "path": IMAGE, "truth": RAW, "ranges": [[OFFSET, LENGTH], ...]}
    {"size": BYTES, "difference": OFFSET or null}
    {"error": WORDS}

Readers: raw (Python alone), qcow2, vmdk, vhd, vhdx, vdi, ova. Without "ranges" the whole disk is compared, with it only
those parts of a disk that is too large. Behind the end of the raw file stand zeros. Of an OVA, the archive, the digests
of its manifest and the OVF are checked too, and the answer has "disk": [OFFSET, LENGTH], the disk's place in the file.
"""

import hashlib
import io
import json
import os
import re
import sys
import tarfile

from dissect.hypervisor.descriptor.ovf import OVF
from dissect.hypervisor.disk import qcow2
from dissect.hypervisor.disk.qcow2 import QCow2
from dissect.hypervisor.disk.vdi import VDI
from dissect.hypervisor.disk.vhd import VHD
from dissect.hypervisor.disk.vhdx import VHDX
from dissect.hypervisor.disk.vmdk import VMDK
from dissect.util.stream import RangeStream

if not qcow2.HAS_ZSTD:
    sys.exit("judge: the module backports.zstd is missing")

# The readers of VDI and VHDX take a read across the end of a block for one within the first (dissect.hypervisor 3.21).
# Their blocks end at multiples of 1 MiB, and so do all pieces that are read here.
PIECE = 1 << 20


class Refusal(Exception):
    """The image is not what it should be."""


class Raw:
    """A file as it is."""

    def __init__(self, file):
        self.file = file
        self.size = os.fstat(file.fileno()).st_size
        self.seek, self.read = file.seek, file.read


class Sparse:
    """A VMDK. Its reader asks for 8 KiB at least, and fails where that leaves the disk (dissect.hypervisor 3.21)."""

    def __init__(self, file):
        self.disk = VMDK(file)
        self.size, self.at = self.disk.size, 0

    def seek(self, at):
        """Goes to a byte."""
        self.at = at

    def read(self, count):
        """The bytes of all sectors from there on that these bytes touch, cut to them."""
        first, end = self.at // 512, min(-(-(self.at + count) // 512), self.size // 512)
        shown = self.disk.read_sectors(first, end - first) if first < end else b""
        start = self.at - first * 512
        return shown[start:start + count]


def open_ova(file):
    """The archive's one disk, after everything around it was checked."""
    with tarfile.open(fileobj=file) as archive:
        members = archive.getmembers()
        names = [member.name for member in members]
        if not all(member.isfile() for member in members) or len(set(names)) != len(names):
            raise Refusal(f"members are not distinct plain files: {names}")
        if not names or not names[0].endswith(".ovf"):
            raise Refusal(f"the first member is no OVF: {names}")
        content = {member.name: archive.extractfile(member) for member in members}
        listed = set()
        for manifest in (name for name in names if name.endswith(".mf")):
            for line in content[manifest].read().decode().splitlines():
                parts = re.fullmatch(r"(SHA1|SHA256|SHA512) ?\((.+)\) ?= ?([0-9a-f]+)", line)
                if not parts:
                    raise Refusal(f"the manifest's line is none: {line!r}")
                algorithm, name, expected = parts.groups()
                if hashlib.file_digest(content[name], algorithm.lower()).hexdigest() != expected:
                    raise Refusal(f"the manifest's digest of {name} is wrong")
                listed.add(name)
        disks = list(OVF(io.TextIOWrapper(archive.extractfile(names[0]), "utf-8")).disks())
        if len(disks) != 1 or disks[0] not in content:
            raise Refusal(f"the OVF names the disks {disks}, and the archive has {names}")
        if listed and listed != {names[0], disks[0]}:
            raise Refusal(f"the manifest lists {sorted(listed)} of {names}")
        disk = archive.getmember(disks[0])
    place = (disk.offset_data, disk.size)
    return Sparse(io.BufferedReader(RangeStream(file, *place))), place


READERS = {
    "raw": Raw,
    "qcow2": lambda file: QCow2(file).open(),
    "vmdk": Sparse,
    "vhd": VHD,
    "vhdx": VHDX,
    "vdi": lambda file: VDI(file).open(),
}


def compare(disk, truth, start, length):
    """The first place where the disk shows something else; None when there is none."""
    at = start
    while at < start + length:
        count = min(PIECE - at % PIECE, start + length - at)
        disk.seek(at)
        shown = disk.read(count)
        truth.seek(at)
        expected = truth.read(count).ljust(count, b"\0")
        if shown != expected:
            return at + next((i for i, (a, b) in enumerate(zip(shown, expected)) if a != b), len(shown))
        at += count
    return None


def answer(question):
    """The answer to one question."""
    with open(question["path"], "rb") as file, open(question["truth"], "rb") as truth:
        found = {}
        if question["reader"] == "ova":
            disk, found["disk"] = open_ova(file)
        else:
            disk = READERS[question["reader"]](file)
        found["size"], found["difference"] = disk.size, None
        for start, length in question.get("ranges") or [[0, disk.size]]:
            found["difference"] = compare(disk, truth, start, length)
            if found["difference"] is not None:
                break
        return found


def main():
    """Answers until the input ends."""
    for line in sys.stdin:
        try:
            found = answer(json.loads(line))
        except Exception as problem:  # Whatever a reader stumbles over is its verdict.
            found = {"error": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
