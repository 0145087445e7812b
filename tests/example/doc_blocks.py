"""The examples of a page: what stands between fences, or indented by four columns, with the words behind the fence.

A fence names its language: sh (or bash), console, json, ndjson, csv, yaml, c, nginx, or `text` and the reason why it is
not run. Further words:

    file=NAME      (json, ndjson, csv, yaml) the block is also a file of that name, for this page and the others
    output         (json, text) what the sh block before it prints
    exit=N         (sh) how its last command ends; else all of them must succeed
"""

import re

FENCE = re.compile(r'(?P<indent> {0,3})(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)')
LIST_ITEM = re.compile(r' {0,3}(?:[-*+]|\d+[.)]) ')
COMMAND = re.compile(r'(?:\$ )?(?:[A-Z_]+=\S* ?)*(?:build/)?(?:keyward|curl)\b')


class Bad(Exception):
    """The page itself is wrong; says where."""


class Block:
    def __init__(self, page, line, info, text):
        words = info.split()
        self.page = page
        self.line = line
        self.language = words[0] if words else ''
        self.words = words[1:]
        self.text = text

    def __str__(self):
        return f'{self.page.name}:{self.line}'

    def option(self, name):
        return next((word.split('=', 1)[1] for word in self.words if word.startswith(name + '=')), None)


def language_of_indented(lines):
    """Without a fence nothing says what it is: commands show it themselves."""
    first = lines[0].strip()
    if COMMAND.match(first):
        return 'sh'
    return 'json' if first[:1] in '{[' else ''


def indented_block(lines, at):
    """The lines of a block that begins there, without their four columns."""
    taken = []
    while at < len(lines) and (lines[at].startswith('    ') or not lines[at].strip()):
        taken.append(lines[at][4:])
        at += 1
    while taken and not taken[-1].strip():
        taken.pop()
    return taken


def fenced_block(page, lines, at, match):
    taken = []
    closing = re.compile(rf' {{0,3}}{re.escape(match["fence"][0])}{{{len(match["fence"])},}}\s*')
    for line in lines[at + 1:]:
        if closing.fullmatch(line):
            return taken
        taken.append(line.removeprefix(match['indent']))
    raise Bad(f'{page.name}:{at + 1}: a fence that is not closed')


def blocks_of(page):
    """All of them, in order."""
    lines = page.read_text(encoding='utf-8').splitlines()
    found, at, in_list, was_blank = [], 0, False, True
    while at < len(lines):
        line = lines[at]
        match = FENCE.fullmatch(line)
        if match:
            taken = fenced_block(page, lines, at, match)
            found.append(Block(page, at + 1, match['info'], '\n'.join(taken) + '\n'))
            at += len(taken) + 2
            was_blank = True
            continue
        if line.strip() and not line.startswith(' '):
            in_list = bool(LIST_ITEM.match(line))
        if line.startswith('    ') and line.strip() and was_blank and not in_list:
            taken = indented_block(lines, at)
            found.append(Block(page, at + 1, language_of_indented(taken), '\n'.join(taken) + '\n'))
            at += len(taken)
            continue
        was_blank = not line.strip()
        at += 1
    return found


def comment_examples(header):
    """The C that stands indented in a header's first comment, as one text; empty where there is none."""
    comment = header.read_text(encoding='utf-8').split('*/')[0]
    lines = [line[7:] for line in comment.splitlines() if line.startswith(' *     ')]
    return ''.join(line + '\n' for line in lines)
