#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""extract_vmlinux.py VMLINUZ OUT: the ELF kernel inside a bzImage.

QEMU starts it through its PVH entry at once, where a bzImage would first have to
decompress itself under emulation.
"""

import struct
import subprocess
import sys

# The x86 boot protocol, Documentation/arch/x86/boot.rst.
SETUP_SECTORS, PAYLOAD_OFFSET, PAYLOAD_LENGTH = 0x1F1, 0x248, 0x24C

DECOMPRESSORS = {
    b"\x02\x21\x4c\x18": ["lz4", "-dc"],
    b"\x28\xb5\x2f\xfd": ["zstd", "-dc"],
    b"\xfd7zX": ["xz", "-dc", "--single-stream"],
    b"\x1f\x8b": ["gzip", "-dc"],
}


def payload(image):
    setup_sectors = image[SETUP_SECTORS] or 4
    offset, length = (struct.unpack_from("<I", image, at)[0]
                      for at in (PAYLOAD_OFFSET, PAYLOAD_LENGTH))
    start = (setup_sectors + 1) * 512 + offset
    return image[start:start + length]


def decompress(data):
    for magic, command in DECOMPRESSORS.items():
        if data.startswith(magic):
            # The payload ends in its own length, which tools call trailing garbage.
            return subprocess.run(command, input=data, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, check=False).stdout
    sys.exit(f"the kernel is compressed in a way not known here: {data[:6]!r}")


def main(vmlinuz, out):
    with open(vmlinuz, "rb") as f:
        elf = decompress(payload(f.read()))
    if not elf.startswith(b"\x7fELF"):
        sys.exit(f"{vmlinuz}: no ELF kernel inside")
    with open(out, "wb") as f:
        f.write(elf)


main(*sys.argv[1:])
