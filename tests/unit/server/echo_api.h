/*
 * A stand-in for the routes (server/api.h), so that the transport is tested alone: it tells what arrived, at once or
 * from another thread.
 *
 *     /big?N          N bytes of 'x' (at most 16 MiB)
 *     /async[/...]    answered from another thread
 *     /delay?MS       answered from another thread after so many milliseconds
 *     /stream/...?N   N bytes in pieces of 64 KiB from another thread, some of them empty
 *     /stream/cut?N   the same, but that it fails before the end
 *     /streams        {"bytes":0,"begun":0,"left":0,"ended":0}: of all answers in pieces so far
 *     /echo           the body as it came
 *     /secret         an answer that is to be wiped
 *     /broken         an answer that grew too large
 *     /metrics        the transport's figures
 *     /readyz         503 while draining
 *     all others      {"method":0,"path":"...","query":"...","bodySize":0,...}
 */
#ifndef KW_TESTS_ECHO_API_H
#define KW_TESTS_ECHO_API_H

#include "server/api.h"

#endif
