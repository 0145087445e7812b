#!/usr/bin/python3
"""Writes the tables of docs/codes.md, which are those of include/keyward/codes.h.

    write_codes.py            writes them
    write_codes.py --check    exit code 1 where the page says something else
"""

import re
import sys

from apigen.model import read_codes
from project import ROOT

PAGE = ROOT / "docs" / "codes.md"
CODES = ROOT / "include" / "keyward" / "codes.h"
HEAD = "| code | HTTP | what it means | what to do |\n| --- | --- | --- | --- |\n"


def table(codes, group):
    return HEAD + "".join(f"| `{name}` | {code.status} | {code.meaning} | {code.advice} |\n"
                          for name, code in codes.items() if code.group == group)


def written(page, codes):
    """The page with a fresh table between each `<!-- GROUP -->` and the next empty line."""
    for group in ("VERDICT", "ERROR", "NOTE"):
        page, count = re.subn(rf"(<!-- {group} -->\n)(?:\|.*\n)*", lambda found: found.group(1) + table(codes, group), page)
        if count != 1:
            sys.exit(f"{PAGE}: <!-- {group} --> must stand there once")
    return page


def main():
    page = PAGE.read_text(encoding="utf-8")
    fresh = written(page, read_codes(CODES))
    if sys.argv[1:] == ["--check"]:
        if page != fresh:
            print(f"{PAGE.relative_to(ROOT)} is not what codes.h says: run tools/write_codes.py", file=sys.stderr)
        return 0 if page == fresh else 1
    if sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
