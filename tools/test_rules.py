"""Shows that each rule of the house can fail, and that it lets good code through. Run by ./dev lint."""

import contextlib
import io
import sys
import unittest

import check_includes
import check_rules
import run_tests


def lines(count, text='    x++;\n'):
    return text * count


def function(body_lines):
    return 'static void long_one(int x)\n{\n' + lines(body_lines) + '}\n'


# path, a text that breaks a rule, words of the finding, a text that does not break it.
RULES = [
    ('src/core/a.c', 'strcpy(a, b);\n', 'strcpy is forbidden', 'memcpy(a, b, 3); /* strcpy(a, b) */\n'),
    ('tests/unit/a.c', 'x = sprintf(a, b);\n', 'sprintf is forbidden', 'x = snprintf(a, 3, "sprintf(");\n'),
    ('bench/a.c', 'system("ls");\n', 'system is forbidden', 'kw_clock_system();\nclock.system(1);\n'),
    ('src/cli/a.c', 'int x = rand();\n', 'rand is forbidden', 'int x = test_rand();\n'),
    ('src/engine/a.c', 'free(x);\n', 'free belongs to src/base/memory.c', 'kw_free(x);\nops->free(x);\n'),
    ('src/engine/a.c', 'p = malloc(3);\n', 'malloc belongs to', 'p = kw_alloc(1, 3);\n'),
    ('src/server/a.c', 'clock_gettime(CLOCK_REALTIME, &now);\n', 'clock_gettime belongs to', 'clock.now_ms(context);\n'),
    ('src/core/a.c', 'now = time(NULL);\n', 'time belongs to', 'now = uptime(NULL); at = x.time(1);\n'),
    ('src/engine/a.c', 'getrandom(p, 3, 0);\n', 'getrandom belongs to', 'entropy.draw(context, p, 3);\n'),
    ('src/server/a.c', 'kw_secret_expose(&key);\n', 'looks at the bytes of a secret', '/* kw_secret_expose */\n'),
    ('src/server/a.c', 'x = key->hidden[0];\n', 'looks at the bytes of a secret', 'x = key->shown[0];\n'),
    ('src/core/a.c', 'x = memcmp(pepper, other, 32);\n', 'kw_constant_time_equal', 'x = memcmp(name, other, 32);\n'),
    ('src/core/a.c', 'if (kw_bytes_equal(secret, x)) {\n    y();\n}\n', 'kw_constant_time_equal',
     'if (kw_constant_time_equal(secret, x) && strcmp(a, (b)) == 0) {\n    y(secret);\n}\n'),
    ('src/core/a.c', function(69), 'long_one has 71 lines', function(68)),
    ('tools/a.py', 'def long_one():\n' + lines(70, '    pass\n'), 'long_one has 71 lines',
     'def long_one():\n' + lines(69, '    pass\n')),
    ('src/core/a.c', lines(501, 'int x;\n'), '501 lines', lines(500, 'int x;\n')),
    ('src/core/a.h', '#ifndef A\n', 'begins with a paragraph', '/*\n * What it is for.\n */\n#ifndef A\n'),
    ('include/keyward/a.h', '/* a */\n\nKW_API void f(void);\n', 'f is public',
     '/* a */\n\n/* Does. */\nKW_API void f(void);\nKW_API int g(void);\n'),
    ('include/keyward/a.h', '/* a */\n\nKW_API KW_MUST_USE enum kw_status\nf(void);\n', 'f is public',
     '/* a */\n\n/* Does. */\nKW_API KW_MUST_USE enum kw_status\nf(void);\n'),
    ('docs/a.md', 'TO' 'DO: more\n', 'finish it', 'To do more.\n'),
    ('src/core/a.c', '/* FIX' 'ME */\n', 'finish it', '/* fixed */ mkstemp("aXXXXXX");\n'),
    ('docs/a.md', 'see /ro' 'ot/keyward\n', 'the path of one machine', 'see docs/root/keyward and /usr/bin/python3\n'),
    ('packaging/a.txt', 'https://registry.' 'npmjs.org/\n', 'the host of a registry', 'the npm registry\n'),
]

INCLUDES = [
    ('src/base/a.c', '#include "core/key.h"\n', 'the arrows forbid', '#include "base/time.h"\n'),
    ('src/base/a.c', '#include <keyward/store.h>\n', 'may not include', '#include <keyward/types.h>\n'),
    ('src/core/a.c', '#include "engine/engine.h"\n', 'the arrows forbid', '#include "base/bytes.h"\n'),
    ('src/core/a.c', '#include <keyward/store.h>\n', 'may not include', '#include <keyward/record.h>\n'),
    ('src/store/a.c', '#include "engine/engine.h"\n', 'the arrows forbid', '#include "core/record.h"\n'),
    ('src/engine/a.c', '#include "server/api.h"\n', 'the arrows forbid', '#include "core/verdict.h"\n'),
    ('src/server/a.c', '#include "cli/cli.h"\n', 'the arrows forbid', '#include "engine/engine.h"\n'),
    ('src/server/a.c', '#include "store/check.h"\n', 'the arrows forbid', '#include "server/call.h"\n'),
    ('src/core/a.c', '#include <stdio.h>\n', 'the core is pure', '#include <string.h>\n'),
    ('src/core/a.c', '#include <time.h>\n', 'the core is pure', '#include "base/time.h"\n'),
    ('src/core/a.c', '#  include <pthread.h>\n', 'the core is pure', '/* #include <pthread.h> */\n'),
    ('src/core/a.c', '#include <sys/stat.h>\n', 'the core is pure', '#include <openssl/sha.h>\n'),
    ('src/engine/a.c', '#include <sqlite3.h>\n', 'belongs to src/store', '#include <urcu-bp.h>\n'),
    ('src/cli/a.c', '#include <uv.h>\n', 'belongs to src/server', '#include <unistd.h>\n'),
    ('src/server/a.c', '#include <maxminddb.h>\n', 'belongs to src/server/geo.c', '#include "server/geo.h"\n'),
    ('src/hall/a.c', 'int x;\n', 'is no room', ''),
    ('include/keyward/a.h', '#include "base/bytes.h"\n', 'only public headers', '#include <keyward/types.h>\n'),
    ('include/keyward/a.h', '#include <unistd.h>\n', 'public headers do without', '#include <stdint.h>\n'),
    ('examples/a.c', '#include "engine/engine.h"\n', 'only public headers', '#include <stdio.h>\n'),
    ('tests/unit/a.c', '#include "base/json_read.c"\n', 'includes no source', '#include "base/json.h"\n'),
]

TAP = [
    # output, passed, failed, skipped
    ('ok 1 - a\nok 2 - b\n1..2\n', 2, 0, 0),
    ('1..2\nok 1 - a\nnot ok 2 - b\n', 1, 1, 0),
    ('ok 1 - a\n', 1, 1, 0),
    ('ok 1 - a\n1..2\n', 1, 1, 0),
    ('', 0, 1, 0),
    ('ok 1 - a # SKIP no network\n1..1\n', 0, 0, 1),
    ('# not ok in a remark\n    not ok 1 - nested\nok 1 - a\n1..1\n', 1, 0, 0),
]


class Rules(unittest.TestCase):
    def check_table(self, check, table):
        for path, bad, words, good in table:
            with self.subTest(path=path, bad=bad[:40]):
                findings = [str(finding) for finding in check(path, bad)]
                self.assertTrue(any(words in finding for finding in findings), f'not found: {words} in {findings}')
            with self.subTest(path=path, good=good[:40]):
                text = good if not path.endswith('.h') or good.startswith('/*') else '/* a */\n' + good
                self.assertEqual([], [str(finding) for finding in check(path, text) if good])

    def test_rules(self):
        self.check_table(check_rules.check, RULES)

    def test_includes(self):
        self.check_table(check_includes.check, INCLUDES)

    def test_lines_are_named(self):
        finding, = check_rules.check('src/core/a.c', '/* one\n * two */\n"three"; strcpy(a, b);\n')
        self.assertEqual(('src/core/a.c', 3), (finding.path, finding.line))


class Counting(unittest.TestCase):
    def test_tap(self):
        for output, passed, failed, skipped in TAP:
            with self.subTest(output=output):
                tally = run_tests.count_tap(output, 'x')
                self.assertEqual((passed, failed, skipped), (tally.passed, tally.failed, tally.skipped))

    def test_a_crash_is_a_failure(self):
        result = {'result': 'ERROR', 'returncode': -11, 'stdout': 'ok 1 - a\n1..1\n'}
        tally = run_tests.count_result(result, 'tap', 'x')
        self.assertEqual((1, 1), (tally.passed, tally.failed))

    def test_flavours(self):
        self.assertEqual({'asan'}, run_tests.flavours_of(['keyward']))
        self.assertEqual({'asan', 'tsan'}, run_tests.flavours_of(['keyward:concurrency']))
        self.assertEqual({'release', 'asan'}, run_tests.flavours_of(['keyward:crash', 'keyward:asan']))

    def test_nothing_ran(self):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(1, run_tests.report(run_tests.Tally()))


if __name__ == '__main__':
    sys.stdout = sys.stderr
    unittest.main(verbosity=0)
