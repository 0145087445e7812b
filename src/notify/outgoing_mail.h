/* What outgoing.c hands to outgoing_mail.c: a request that is mail. */
#ifndef KW_NOTIFY_OUTGOING_MAIL_H
#define KW_NOTIFY_OUTGOING_MAIL_H

#include "notify/outgoing.h"

/* Sets up what is mail's own; `easy` is the request's handle of libcurl. False: no memory. */
KW_MUST_USE bool kw__outgoing_set_mail(void *easy, struct kw_outgoing_request *request);

#endif
