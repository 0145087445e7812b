"""The CSV reader against Python's csv module: the same rows and the same rows refused, on text made at random."""

import csv
import io
import json
import os
import random
import subprocess
import sys

ROUNDS = 400
PIECES = ['a', 'bc', ',', ',', '"', '"', '""', '\n', '\n', '\r\n', '\r', ' ', ';', 'ä', '\ufeff', '日', "'", '\t', '\\']


def expected_rows(text):
    """What Python reads: cells of each row, None for one that it refuses; empty lines are none."""
    reader = csv.reader(io.StringIO(text, newline=''), strict=True)
    rows = []
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return rows
        except csv.Error:
            return rows + [None]  # Python does not go on in order behind it
        if row:
            rows.append(row)


def actual_rows(program, text, piece):
    done = subprocess.run([program, str(piece)], input=text.encode(), stdout=subprocess.PIPE, check=True, timeout=60)
    return [row and row[1:] for row in map(json.loads, done.stdout.splitlines())]


def made_up(random_state):
    """Half of them well-formed, as a writer makes them, and half anything."""
    if random_state.random() < 0.5:
        return ''.join(random_state.choices(PIECES, k=random_state.randrange(40)))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=random_state.choice(['\n', '\r\n']),
                        quoting=random_state.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    for _ in range(random_state.randrange(6)):
        writer.writerow([''.join(random_state.choices(PIECES, k=random_state.randrange(5)))
                         for _ in range(random_state.randrange(1, 6))])
    return out.getvalue()


def main():
    seed = int(os.environ.get('KW_TEST_SEED') or random.SystemRandom().randrange(2**32))
    random_state = random.Random(seed)
    compared = 0
    print('1..1')
    for _ in range(ROUNDS):
        text = made_up(random_state)
        if text.startswith('\ufeff'):
            continue  # a mark, which Python takes for text
        expected = expected_rows(text)
        actual = actual_rows(sys.argv[1], text, random_state.choice([1, 2, 3, 64, 4096]))
        if None in expected:
            actual = actual[:len(expected)]
        if actual != expected:
            print(f'not ok 1 - as Python\n# KW_TEST_SEED={seed}\n# text {text!r}\n# expected {expected!r}\n# actual {actual!r}')
            sys.exit(1)
        compared += len(expected)
    print(f'{"ok" if compared > ROUNDS else "not ok"} 1 - as Python: {compared} rows')


if __name__ == '__main__':
    main()
