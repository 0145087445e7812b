"""The generator refuses what it does not understand: each case breaks the description in one place.

    test_generate_api.py tools/generate_api.py api/keyward.yaml include/keyward/codes.h
"""

import pathlib
import subprocess
import sys
import tempfile

GENERATOR, DESCRIPTION, CODES = map(pathlib.Path, sys.argv[1:4])

# What is replaced in the description, by what, and what the refusal must name.
BROKEN = [
    ('  x-handler: kw__keys_create\n', '  x-handler: kw__keys_create\n      x-hurry: true\n', 'x-hurry'),
    ('      x-handler: kw__keys_create\n', '', 'x-handler'),
    ('maxLength: 1024', 'maxLength: 1024\n      shortest: 1', 'shortest'),
    ('      x-cap: KW_DESCRIPTION_MAX\n', '', 'x-cap'),
    ('      x-check: scope\n', '', 'x-check'),
    ('x-check: owner', 'x-check: colour', 'colour'),
    ("x-bind: kw_key_body.params.env\n", "x-bind: kw_stop_body.reason\n", 'kw_stop_body'),
    ("          x-bind: kw_stop_body.reason\n", '', 'bound'),
    ("$ref: '#/components/schemas/Metadata'", "$ref: '#/components/schemas/Mehtadata'", 'Mehtadata'),
    ('      required: [key]\n', '      required: [quay]\n', 'quay'),
    ('[[ownerId, owner],', '[[ownerId, ownr],', 'ownr'),
    ('      maxItems: 16\n      x-cap: KW_ENVIRONMENT_COUNT_MAX', '      maxItems: 16', 'x-cap'),
    ('          type: boolean\n          x-bind', '          type: number\n          x-bind', 'kind'),
    ('x-check: amount', 'x-check: sum', 'kind'),
    ('          x-cap: KW_AMOUNT_MAX / KW_AMOUNT_ONE\n', '', 'x-cap'),
    ('minimum: 1, maximum: 100, x-cap: 100', 'minimum: 1, maximum: 256, x-cap: 256', 'byte'),
    ("anyOf: [{$ref: '#/components/schemas/Name'}, {type: 'null'}]",
     "anyOf: [{$ref: '#/components/schemas/Name'}, {type: boolean}]", 'anyOf'),
    ("x-problems: [KEY_NOT_FOUND, NOT_REVOKED,", "x-problems: [KEY_NOT_FOUND, NOT_REVOKD,", 'NOT_REVOKD'),
    ('REQUEST_TIMEOUT, TOO_BUSY', 'TOO_BUSY', 'REQUEST_TIMEOUT'),
    ('x-problems-scoped: [UNAUTHORIZED, ', 'x-problems-scoped: [', 'UNAUTHORIZED'),
    ('INVALID_JSON, UNSUPPORTED_MEDIA_TYPE]', 'INVALID_JSON]', 'UNSUPPORTED_MEDIA_TYPE'),
    ('REGION_NOT_ALLOWED, ENVIRONMENT_MISMATCH,', 'REGION_NOT_ALLOWED,', 'ENVIRONMENT_MISMATCH'),
    ('/v1/keys/{id}/revoke:', '/v1/keys/{id}/by/{name}:', '/v1/keys/{id}/by/{name}'),
    ('/v1/keys/{id}/revoke:', '/v1/Keys/{id}/revoke:', '/v1/Keys'),
    ('      operationId: revokeKey\n', '      operationId: rotateKey\n', 'rotateKey'),
    ('  /v1/keys/{id}/revoke:\n    post:', '  /v1/keys/{id}/revoke:\n    trace:', 'trace'),
    ('    EnableRequest:\n', '    Unneeded: {type: string}\n    EnableRequest:\n', 'Unneeded'),
    ('    EnableRequest:\n', '    EnableRequest: {type: object}\n    EnableRequest:\n', 'twice'),
    ('name: Keyward-Project\n', 'name: Keyward-Colour\n', 'Keyward-Colour'),
    ('      additionalProperties: false\n      x-struct: kw_verify_body\n', '      x-struct: kw_verify_body\n', 'VerifyRequest'),
    ('x-enum: verdicts', 'x-enum: colours', 'colours'),
    ("      x-any: true\n", "      x-any: true\n      callbacks: {}\n", 'callbacks'),
]

# The same for codes.h.
BROKEN_CODES = [
    ('X(INVALID_FIELD, 400,', 'X(INVALID_COLOUR, 400, "a", "b") X(INVALID_FIELD, 400,', 'INVALID_COLOUR'),
    ('X(KEY_NOT_FOUND, 404,', 'X(KEY_LOST, 404,', 'KEY_NOT_FOUND'),
    ('X(FORBIDDEN, 403, "', 'X(FORBIDDEN, 403, L"', 'not understood'),
]


def run(description, codes):
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder, name) for name in ('keyward.yaml', 'codes.h', 'out.c')]
        paths[0].write_text(description)
        paths[1].write_text(codes)
        result = subprocess.run([sys.executable, GENERATOR, *paths], capture_output=True, text=True, check=False)
        return result, paths[2].exists()


def main():
    description, codes = DESCRIPTION.read_text(), CODES.read_text()
    cases = [(old, new, named, False) for old, new, named in BROKEN]
    cases += [(old, new, named, True) for old, new, named in BROKEN_CODES]
    print(f'TAP version 13\n1..{len(cases) + 1}')
    failures = 0
    result, made = run(description, codes)
    if result.returncode != 0 or not made:
        failures += 1
        print('not ', end='')
    print('ok 1 - the description as it is')
    for number, (old, new, named, in_codes) in enumerate(cases, 2):
        text = codes if in_codes else description
        changed = text.replace(old, new, 1)
        result, made = run(description if in_codes else changed, changed if in_codes else codes)
        good = changed != text and result.returncode == 1 and not made and named in result.stderr and \
            'Traceback' not in result.stderr
        failures += not good
        print(f"{'' if good else 'not '}ok {number} - {new.strip().splitlines()[0] if new.strip() else 'without ' + old.strip()}")
        if not good:
            print(''.join(f'# {line}\n' for line in (result.stderr or 'it was taken').splitlines()[-3:]), end='')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
