#!/usr/bin/python3
"""Makes the table of the subdivisions of countries of Debian's iso-codes.

    generate_subdivisions.py iso_3166-2.json subdivisions_generated.c

A subdivision is a country and one to three of 0-9 and A-Z. Three of them are a number: each a digit of base 37, from
the left, and 0 where there is none. src/core/region.c reads it so.
"""

import json
import re
import sys

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FORM = re.compile(r"([A-Z])([A-Z])-([A-Z0-9]{1,3})")


def number_of(suffix):
    number = 0
    for at in range(3):
        number = number * 37 + (DIGITS.index(suffix[at]) + 1 if at < len(suffix) else 0)
    return number


def subdivisions_of(codes):
    """The numbers of each country, by its place from AA to ZZ."""
    countries = [set() for _ in range(26 * 26)]
    for code in codes:
        found = FORM.fullmatch(code)
        if found is None:
            raise ValueError(f"{code} has no form that is known")
        first, second, suffix = found.groups()
        countries[(ord(first) - ord("A")) * 26 + ord(second) - ord("A")].add(number_of(suffix))
    return [sorted(numbers) for numbers in countries]


def lines_of(numbers):
    return ["    " + ", ".join(str(number) for number in numbers[at:at + 16]) + "," for at in range(0, len(numbers), 16)]


def generate(codes):
    countries = subdivisions_of(codes)
    starts = [0]
    for numbers in countries:
        starts.append(starts[-1] + len(numbers))
    return "\n".join([
        "/* Made by tools/generate_subdivisions.py of Debian's iso-codes. */",
        '#include "core/region.h"',
        f"const uint16_t kw__subdivision_starts[{len(starts)}] = {{", *lines_of(starts), "};",
        "const uint16_t kw__subdivisions[] = {", *lines_of([number for numbers in countries for number in numbers]), "};", ""])


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        codes = [entry["code"] for entry in json.load(file)["3166-2"]]
    try:
        text = generate(codes)
    except ValueError as error:
        print(f"{sys.argv[1]}: {error}", file=sys.stderr)
        return 1
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
