#!/usr/bin/env python3
"""Prints the program's bytes by module and dependency: bloat.py PROGRAM SHIPPED

PROGRAM is the release program with symbols and line numbers, SHIPPED the one without them. Both come from `make bloat`.

Inlined code counts for the module that it is inlined into, if it comes from a library or from a module that all others use: what
it takes to log a line counts for the module that logs it. The column "written there" counts code for the file with its lines.
Constants count for the first code that refers to them. Needs binutils.
"""

import collections
import os
import re
import subprocess
import sys

# Modules that all others use.
HELPERS = "report", "text"
UNKNOWN = "not known"
SHARED = "shared, outlined by the compiler"


def lines(*command, **options):
    return subprocess.run(command, check=True, text=True, capture_output=True, **options).stdout.splitlines()


def owner(path):
    """Returns the module or dependency that a source file belongs to."""
    is_own = path.startswith((os.getcwd(), "src/"))
    if is_own and (module := re.search(r"^(?:.*/)?src/(\w+)", path)):
        return module[1]
    if crate := re.search(r"/registry/src/[^/]+/(.+?)-\d", path):
        return crate[1] + " (crate)"
    if "/library/" in path:
        return "core (standard library)"
    if "musl" in path or path.endswith(("crtbegin.c", "crtstuff.c")):
        return "musl (C start-up)"
    return UNKNOWN


def is_module(name):
    return "(" not in name and name != UNKNOWN


def is_user(name):
    return is_module(name) and name not in HELPERS


Section = collections.namedtuple("Section", "address offset size")


def read_sections(program):
    """Returns the sections that are loaded from the file."""
    pattern = r"\s*\[ *\d+\] (\S+)\s+(\S+)\s+(\w+) (\w+) (\w+)"
    found = [match.groups() for line in lines("readelf", "-SW", program) if (match := re.match(pattern, line))]
    return {
        name: Section(*(int(number, 16) for number in numbers))
        for name, kind, *numbers in found
        if int(numbers[0], 16) and kind != "NOBITS"
    }


def read_symbols(program):
    """Returns the addresses and names of all defined symbols, in ascending order."""
    defined = (line.split(" ", 2) for line in lines("nm", "-C", "-n", program) if line[0] != " ")
    return [(int(address, 16), name) for address, _, name in defined]


def disassemble(program):
    """Returns the addresses of all instructions, and the addresses that some of them refer to."""
    addresses, references = [], {}
    for line in lines("objdump", "-d", "-j", ".text", "--no-show-raw-insn", program):
        if found := re.match(r"\s+([0-9a-f]+):", line):
            addresses.append(int(found[1], 16))
            if referred := re.search(r"# ([0-9a-f]+)", line):
                references[addresses[-1]] = int(referred[1], 16)
    return addresses, references


def read_owners(program, addresses):
    """Returns the owners of each instruction: of its own line first, then of each function that it is inlined into."""
    owners = collections.defaultdict(list)
    query = "\n".join(f"{address:x}" for address in addresses)
    for line in lines("addr2line", "-a", "-i", "-e", program, input=query):
        if line.startswith("0x"):
            address = int(line, 16)
        else:
            owners[address].append(owner(line.rsplit(":", 1)[0]))
    return owners


def sizes(begins, section):
    """Yields each beginning in a section with the number of bytes to the next one."""
    end = section.address + section.size
    inside = sorted(address for address in begins if section.address <= address < end)
    yield from ((address, after - address) for address, after in zip(inside, inside[1:] + [end]))


def count_code(owners, symbols, text):
    """Counts the bytes of code by who uses them and by who wrote them. Also returns the user of each instruction."""
    used, written, users = collections.Counter(), collections.Counter(), {}
    outlined = {address: name.startswith("OUTLINED_FUNCTION") for address, name in symbols}
    is_outlined = False
    for address, size in sizes(owners, text):
        is_outlined = outlined.get(address, is_outlined)
        of = owners[address]
        user = SHARED if is_outlined else next(filter(is_user, of), next(filter(is_module, of), of[0]))
        users[address] = user
        used[user] += size
        written[user if is_outlined else of[0]] += size
    return used, written, users


def count_constants(program, sections, symbols, references, users):
    """Counts the bytes of constants and tables of addresses. They begin where something refers to them, and end at the next."""
    constants, tables = sections[".rodata"], sections[".data.rel.ro"]
    begins = {}
    for address, referred in references.items():
        begins.setdefault(referred, users[address])
    for address, name in symbols:
        if found := re.search(r"config_reloader_sidecar::(\w+)::", name):
            begins[address] = found[1]
    with open(program, "rb") as file:
        file.seek(tables.offset)
        content = file.read(tables.size)
    holder = UNKNOWN
    for at in range(0, tables.size - 7, 8):
        holder = begins.get(tables.address + at, holder)
        address = int.from_bytes(content[at : at + 8], "little")
        if constants.address <= address < constants.address + constants.size:
            begins.setdefault(address, holder)
    held = collections.Counter()
    for section in constants, tables:
        of_section = collections.Counter()
        for address, size in sizes(begins, section):
            of_section[begins[address]] += size
        of_section[UNKNOWN] += section.size - of_section.total()
        held += of_section
    return held


def main(program, shipped):
    sections, symbols = read_sections(program), read_symbols(program)
    addresses, references = disassemble(program)
    used, written, users = count_code(read_owners(program, addresses), symbols, sections[".text"])
    held = count_constants(program, sections, symbols, references, users)

    names = sorted(set(used) | set(held), key=lambda name: (not is_module(name), -used[name] - held[name]))
    print("| module or dependency | code | written there | constants | together |")
    print("|---|---:|---:|---:|---:|")
    for name in names:
        print(f"| {name} | {used[name]} | {written[name]} | {held[name]} | {used[name] + held[name]} |")
    size = os.path.getsize(shipped)
    print(f"| headers, relocations, addresses, padding | | | | {size - used.total() - held.total()} |")
    print(f"| **the program** | {used.total()} | | {held.total()} | **{size}** |")

    print("\nThe largest functions, with what is inlined into them:\n\n| function | bytes |\n|---|---:|")
    for line in lines("nm", "-C", "-S", "--size-sort", "-r", program)[:25]:
        _, length, kind, name = line.split(" ", 3)
        if kind in "tT":
            print(f"| `{name}` | {int(length, 16)} |")


main(*sys.argv[1:])
