"""Makes small databases in the MaxMind DB format (https://maxmind.github.io/MaxMind-DB/), version 2.0, for tests.

    mmdb.py FILE          the database that the tests share: PLACES
    build(ranges)         the bytes of one with records of your own
"""

import ipaddress
import sys

MARKER = b'\xab\xcd\xefMaxMind.com'
RECORD_BYTES = 3
TEXT, UINT16, UINT32, MAP, UINT64, ARRAY = 2, 5, 6, 7, 9, 11
SMALL_MAX = 28  # the largest size that stands in the first byte


def place(country, *subdivisions, **more):
    """A record as a database of cities has it."""
    record = {'country': {'iso_code': country, 'names': {'en': 'Somewhere'}}, **more}
    if subdivisions:
        record['subdivisions'] = [{'iso_code': code} for code in subdivisions]
    return record


# Ranges of documentation (RFC 5737, RFC 3849), loopback, and what of them real databases hold beside plain places.
PLACES = {
    '127.0.0.1/32': place('DE', 'BE'),
    '127.0.0.2/32': place('US', 'CA'),
    '192.0.2.0/25': place('US', 'CA', 'SFO'),
    '192.0.2.128/25': place('US'),
    '198.51.100.0/24': place('FR', 'IDF', registered_country={'iso_code': 'US'}),
    '203.0.113.0/26': {'registered_country': {'iso_code': 'US'}, 'continent': {'code': 'NA'}},
    '203.0.113.64/26': {'country': {'iso_code': 'XX'}},
    '203.0.113.128/26': place('GB', 'no code'),
    '203.0.113.192/27': {'country': {'iso_code': 276}},
    '2001:db8:1::/48': place('JP', '13'),
    '2001:db8:2::/48': place('NO'),
}


def encode(value, unsigned=UINT32):
    """A value of the data section. All lengths and numbers here are small enough for the shorter forms."""
    if isinstance(value, str):
        return head(TEXT, len(value.encode())) + value.encode()
    if isinstance(value, dict):
        return head(MAP, len(value)) + b''.join(encode(name) + encode(inner) for name, inner in value.items())
    if isinstance(value, list):
        return head(ARRAY, len(value)) + b''.join(map(encode, value))
    number = value.to_bytes((value.bit_length() + 7) // 8, 'big')
    return head(unsigned, len(number)) + number


def head(kind, size):
    """The control byte: three bits of type, five of size; types above 7 stand in a byte of their own."""
    small, beyond = (size, b'') if size <= SMALL_MAX else (SMALL_MAX + 1, bytes([size - SMALL_MAX - 1]))
    if kind <= MAP:
        return bytes([kind << 5 | small]) + beyond
    return bytes([small, kind - MAP]) + beyond


def bits_of(text, version):
    """The path of a range through the tree. IPv4 lies under the first 96 zeros of IPv6."""
    network = ipaddress.ip_network(text)
    bits = f'{int(network.network_address):0{network.max_prefixlen}b}'[:network.prefixlen]
    if version == 4 and network.version == 6:
        raise ValueError('a database of IPv4 holds no IPv6')
    return '0' * 96 + bits if version == 6 and network.version == 4 else bits


def grow(ranges, version):
    """The tree: nodes of two sides each, None for nothing, ('node', n) or ('data', offset), and the data."""
    nodes, data, offsets = [[None, None]], b'', {}
    for text, record in ranges.items():
        encoded = encode(record)
        if encoded not in offsets:
            offsets[encoded] = len(data)
            data += encoded
        at = 0
        path = bits_of(text, version)
        for bit in map(int, path[:-1]):
            if nodes[at][bit] is None:
                nodes.append([None, None])
                nodes[at][bit] = ('node', len(nodes) - 1)
            kind, at = nodes[at][bit]
            if kind != 'node':
                raise ValueError(f'{text} lies within another range')
        nodes[at][int(path[-1])] = ('data', offsets[encoded])
    return nodes, data


def build(ranges, version=6, kind='Test-City'):
    nodes, data = grow(ranges, version)

    def side(value):
        if value is None:
            return len(nodes)
        kind_of_side, number = value
        return number if kind_of_side == 'node' else len(nodes) + 16 + number

    tree = b''.join(side(value).to_bytes(RECORD_BYTES, 'big') for node in nodes for value in node)
    metadata = {
        'node_count': encode(len(nodes)), 'record_size': encode(RECORD_BYTES * 8, UINT16),
        'ip_version': encode(version, UINT16), 'database_type': encode(kind), 'languages': encode(['en']),
        'binary_format_major_version': encode(2, UINT16), 'binary_format_minor_version': encode(0, UINT16),
        'build_epoch': encode(1700000000, UINT64), 'description': encode({'en': 'for tests'}),
    }
    body = b''.join(encode(name) + value for name, value in metadata.items())
    return tree + bytes(16) + data + MARKER + head(MAP, len(metadata)) + body


if __name__ == '__main__':
    with open(sys.argv[1], 'wb') as file:
        file.write(build(PLACES))
