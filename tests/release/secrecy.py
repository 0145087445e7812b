"""Where a full key could be left behind, and how to look for it there: in bytes, in files, and in the memory of a
process.
"""

import base64
import os
import re
import string
import zlib

PAGE = os.sysconf('SC_PAGE_SIZE')
READ_SIZE = 1 << 20
ZEROS = bytes(READ_SIZE + PAGE)
# The address sanitizer's shadow and the like: reserved by the terabyte, never filled with what the program holds.
MAPPING_SIZE_MAX = 1 << 32
PIECE = 16  # characters of a random part that no accident makes again
DIGITS = (string.digits + string.ascii_uppercase + string.ascii_lowercase).encode()
KEY_SIZE = 46
MARKS = (b'_live_', b'_test_')  # searched first: bytes are found faster than forms
# The runtime reads it before the program can overwrite it.
SANITIZERS_COPY = re.compile(rb'KEYWARD_ROOT_KEY=\w+')
ANY_KEY = re.compile(rb'(?:[sp]k|kw)_(?:live|test)_[0-9A-Za-z]{38}(?![0-9A-Za-z])')
KEY = re.compile(r'^([a-z0-9_-]+_)([0-9A-Za-z]+)([0-9A-Za-z]{6})$')


def base64_core(data, shift):
    """What base64 makes of `data` that begins at the shift-th byte of a group, without what its neighbours decide."""
    text = base64.b64encode(b'\0' * shift + data)
    return text[4 if shift else 0:len(text) // 4 * 4 - 4]


def patterns_of(key):
    """What betrays a key: {name: bytes}."""
    whole = key.encode()
    random = KEY.match(key).group(2).encode()
    patterns = {'the key': whole, 'its random part': random, 'hex': whole.hex().encode(),
                'upper-case hex': whole.hex().upper().encode(), 'hex of the random part': random.hex().encode()}
    for shift in range(3):
        patterns[f'base64, shifted by {shift}'] = base64_core(whole, shift)
        patterns[f'base64 of the random part, shifted by {shift}'] = base64_core(random, shift)
    for at in range(0, len(random) - PIECE + 1, PIECE // 2):
        patterns[f'random part from {at}'] = random[at:at + PIECE]
    return patterns


def has_true_checksum(text):
    number = zlib.crc32(text[:-6])
    return text[-6:] == bytes(DIGITS[number // 62 ** place % 62] for place in range(5, -1, -1))


def find_any(data):
    """The place of something that is a key, whosever it is; -1 where there is none."""
    for mark in MARKS:
        at = data.find(mark)
        while at >= 0:
            match = ANY_KEY.match(data, max(0, at - 2))
            if match and has_true_checksum(match.group()):
                return match.start()
            at = data.find(mark, at + 1)
    return -1


def find_in(data, key):
    """The name of the first pattern of the key that `data` holds, or None."""
    return next((name for name, pattern in patterns_of(key).items() if pattern in data), None)


def find_in_folder(folder, key, except_for=()):
    """What of the key stands in which file, as texts."""
    found = []
    for where, _, names in os.walk(folder):
        for name in sorted(set(names) - set(except_for)):
            with open(os.path.join(where, name), 'rb') as file:
                seen = find_in(file.read(), key)
            if seen:
                found.append(f'{name}: {seen}')
    return found


def writable_mappings(pid):
    """(name, start, end) of what a process can write to."""
    with open(f'/proc/{pid}/maps', encoding='ascii', errors='replace') as maps:
        for line in maps:
            span, mode, *_, name = (line.rstrip('\n') + ' ').split(' ', 5)
            start, end = (int(part, 16) for part in span.split('-'))
            if mode.startswith('rw') and end - start <= MAPPING_SIZE_MAX:
                yield name.strip() or 'anonymous', start, end


class Unreadable(Exception):
    """The system does not let us look."""


def memory_pieces(pid):
    """(name, address, bytes) of all writable memory but what is empty, overlapping so that nothing hides on an edge."""
    try:
        memory = open(f'/proc/{pid}/mem', 'rb', buffering=0)
    except PermissionError as error:
        raise Unreadable(f'/proc/PID/mem: {error.strerror}') from None
    with memory:
        for name, start, end in writable_mappings(pid):
            for at in range(start, end, READ_SIZE):
                try:
                    data = os.pread(memory.fileno(), min(READ_SIZE + PAGE, end - at), at)
                except OSError:
                    continue  # unmapped meanwhile, or a guard
                if data != ZEROS[:len(data)]:
                    yield name, at, data


def describe(name, address, data, at, size):
    """Where it is, with what stands around it made harmless: enough to find the buffer."""
    around = data[max(0, at - 48):at] + b'<HERE>' + data[at + size:at + size + 48]
    return f'{name} {address + at:#x}: {re.sub(rb"[^ -~]+", b".", around).decode()}'


def is_sanitized(pid):
    with open(f'/proc/{pid}/maps', encoding='ascii', errors='replace') as maps:
        return re.search(r'lib[a-z]+san\.so', maps.read()) is not None


def find_in_memory(pid, keys):
    """Every place in the memory of a process where something of the keys is, or any key at all, as texts; the first of
    each in a mapping. What is passed over is a sanitizer's own copy of the environment, in programs that have one.
    """
    found = []
    wanted = [(key[:12], patterns_of(key)) for key in keys]
    has_copy = is_sanitized(pid)
    for name, address, data in memory_pieces(pid):
        data = SANITIZERS_COPY.sub(lambda match: b'-' * len(match.group()), data) if has_copy else data
        for start, patterns in wanted:
            at, what = next(((data.find(pattern), what) for what, pattern in patterns.items() if pattern in data),
                            (-1, ''))
            if at >= 0:
                found.append(f'{start}…, {what}, in {describe(name, address, data, at, len(patterns[what]))}')
        at = find_any(data)
        if at >= 0:
            found.append(f'a key, in {describe(name, address, data, at, KEY_SIZE)}')
    return found
