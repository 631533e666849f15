#!/usr/bin/env python3
"""Whose bytes they are: `make bloat` names the release program with its symbols and line numbers, and the one that ships.

Machine code counts for the module that it is inlined into, if it is a library's, or of one of the modules that all others use:
what a line of the log comes to stands with whoever says it. "written there" counts what a file's own lines have become, wherever
it was inlined. Functions that stay functions count for whoever wrote them. Constants count for the code that refers to them first.
Reads what binutils print.
"""

import collections
import os
import re
import subprocess
import sys


def lines(*command, **more):
    return subprocess.run(command, check=True, text=True, capture_output=True, **more).stdout.splitlines()


def owner(path):
    """The module or dependency that a source file is of."""
    own = re.search(r"^(?:.*/)?src/(\w+)", path) if path.startswith(os.getcwd()) or path.startswith("src/") else None
    crate = re.search(r"/registry/src/[^/]+/(.+?)-\d", path)
    if own:
        return own[1]
    if crate:
        return crate[1] + " (crate)"
    if "/library/" in path:
        return "core (standard library)"
    if "musl" in path or path.endswith(("crtbegin.c", "crtstuff.c")):
        return "musl (C start-up)"
    return "not known"


# What other modules are written with.
HELPERS = "log", "text"


def is_own(name):
    return "(" not in name and name != "not known"


def is_user(name):
    return is_own(name) and name not in HELPERS


def main(program, shipped):
    sections = {}
    for line in lines("readelf", "-SW", program):
        if found := re.match(r"\s*\[ *\d+\] (\S+)\s+(\S+)\s+(\w+) (\w+) (\w+)", line):
            name, kind, address, _, size = found.groups()
            if int(address, 16) and kind != "NOBITS":
                sections[name] = (int(address, 16), int(size, 16))
    start, size = sections[".text"]
    constants, constants_size = sections[".rodata"]

    # Every instruction, what it refers to, and where it comes from.
    addresses, references = [], {}
    for line in lines("objdump", "-d", "-j", ".text", "--no-show-raw-insn", program):
        if found := re.match(r"\s+([0-9a-f]+):", line):
            addresses.append(int(found[1], 16))
            if referred := re.search(r"# ([0-9a-f]+)", line):
                references[addresses[-1]] = int(referred[1], 16)
    frames = collections.defaultdict(list)
    query = "\n".join(f"{address:x}" for address in addresses)
    for line in lines("addr2line", "-a", "-i", "-e", program, input=query):
        if line.startswith("0x"):
            address = int(line, 16)
        else:
            frames[address].append(owner(line.rsplit(":", 1)[0]))
    symbols = []
    for line in lines("nm", "-C", "-n", program):
        value, _, name = line.lstrip().split(" ", 2) if line[0] != " " else ("0", "", "")
        symbols.append((int(value, 16), name))

    asked, written, held = (collections.Counter() for _ in range(3))
    owner_of = {}
    shared = {value for value, name in symbols if name.startswith("OUTLINED_FUNCTION")}
    is_shared, ends = False, {value for value, _ in symbols}
    for address, after in zip(addresses, addresses[1:] + [start + size]):
        if address in ends:
            is_shared = address in shared
        of = frames[address]
        name = "what functions have in common" if is_shared else next(filter(is_user, of), next(filter(is_own, of), of[0]))
        owner_of[address] = name
        asked[name] += after - address
        written[name if is_shared else of[0]] += after - address

    # Constants begin where something refers to them, be it code or a table of addresses, and end where the next one begins.
    begins = {}
    for address, referred in references.items():
        begins.setdefault(referred, owner_of[address])
    for value, name in symbols:
        if found := re.search(r"config_reloader_sidecar::(\w+)::", name):
            begins[value] = found[1]
    tables, tables_size = sections[".data.rel.ro"]
    with open(program, "rb") as file:
        offset = int(next(l.split()[l.split().index(".data.rel.ro") + 3] for l in lines("readelf", "-SW", program) if ".data.rel.ro" in l), 16)
        file.seek(offset)
        words = file.read(tables_size)
    holder = "not known"
    for at in range(0, tables_size - 7, 8):
        holder = begins.get(tables + at, holder)
        word = int.from_bytes(words[at : at + 8], "little")
        if constants <= word < constants + constants_size:
            begins.setdefault(word, holder)
    for first, length in ((constants, constants_size), (tables, tables_size)):
        inside = sorted(a for a in begins if first <= a < first + length)
        held["not known"] += (inside[0] if inside else first + length) - first
        for address, after in zip(inside, inside[1:] + [first + length]):
            held[begins[address]] += after - address

    names = sorted(set(asked) | set(held), key=lambda name: (not is_own(name), -asked[name] - held[name]))
    print("| module or dependency | code | of it written there | constants | together |")
    print("|---|---:|---:|---:|---:|")
    for name in names:
        print(f"| {name} | {asked[name]} | {written[name]} | {held[name]} | {asked[name] + held[name]} |")
    file_size = os.path.getsize(shipped)
    rest = file_size - sum(asked.values()) - sum(held.values())
    print(f"| headers, relocations, addresses, padding | | | | {rest} |")
    print(f"| **the program** | {sum(asked.values())} | | {sum(held.values())} | **{file_size}** |")
    print("\nThe largest functions, with what is inlined into them:\n\n| function | bytes |\n|---|---:|")
    for line in lines("nm", "-C", "-S", "--size-sort", "-r", program)[:25]:
        _, length, kind, name = line.split(" ", 3)
        if kind in "tT":
            print(f"| `{name}` | {int(length, 16)} |")


main(*sys.argv[1:])
