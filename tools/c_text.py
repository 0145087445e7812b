"""Just enough of C's grammar for the rules of the house: code without comments and strings, functions, findings."""

import dataclasses
import re

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    message: str

    def __str__(self):
        return f'{self.path}:{self.line}: {self.message}'


def blank(match, keep_strings):
    """Spaces and line ends in place of a comment, or of what a string holds."""
    text = match.group(0)
    if text[0] == '/':
        return re.sub(r'[^\n]', ' ', text)
    return text if keep_strings else text[0] + ' ' * (len(text) - 2) + text[-1]


def code_of(text, keep_strings=False):
    """The text with comments (and the insides of strings) blanked: every line and column stays where it was."""
    return TOKEN.sub(lambda match: blank(match, keep_strings), text)


def line_of(text, offset):
    return text.count('\n', 0, offset) + 1


def functions_of(text):
    """(name, first line, line count) of each function: in our layout its braces stand alone at the left edge."""
    code = code_of(text).splitlines()
    start = None
    for number, line in enumerate(code, 1):
        if line.rstrip() == '{':
            start = number
        elif line.startswith('}') and start is not None:
            head = signature_above(code, start)
            name = re.search(r'(\w+)\s*\(', head)
            yield (name.group(1) if name else head.strip(), start, number - start + 1)
            start = None


def signature_above(code, brace_line):
    """The lines between the last blank line, or end of something, and an opening brace."""
    first = brace_line - 1
    while first > 0 and code[first - 1].strip() and code[first - 1].rstrip()[-1] not in ';}{':
        first -= 1
    return ' '.join(line for line in code[first:brace_line - 1] if not line.startswith('#'))
