/*
 * Inside the transport: finds the end of a head or of a trailer section, and refuses on the way what no such section
 * may hold: control characters, CR or LF alone, folded lines. Limits go by position, never by how much had arrived.
 */
#ifndef KW_SERVER_SECTION_H
#define KW_SERVER_SECTION_H

#include "server/message.h"

struct kw_section_limits {
    size_t first_line_max;
    size_t size_max; /* of all lines; the empty line at the end may add four bytes */
    unsigned line_max;
};

enum kw_section {
    KW_SECTION_MORE,
    KW_SECTION_COMPLETE, /* parser->scanned is its size, with the empty line */
    KW_SECTION_MALFORMED,
    KW_SECTION_LONG_FIRST_LINE,
    KW_SECTION_TOO_LARGE,
};

/* Goes on at parser->scanned; `input` begins with the section. */
KW_MUST_USE enum kw_section kw__section_scan(struct kw_message_parser *parser, struct kw_bytes input,
                                             const struct kw_section_limits *limits);

#endif
