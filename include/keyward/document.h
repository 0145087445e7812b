/*
 * Documents: what a project, a policy, a template, a webhook or a channel is, as JSON. Each has a name and a version,
 * is kept as it is written, and takes effect with the commit that writes it.
 */
#ifndef KEYWARD_DOCUMENT_H
#define KEYWARD_DOCUMENT_H

#include <keyward/record.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KW_DOCUMENT_MAX 65536      /* bytes of its JSON, with what Keyward adds */
#define KW_DOCUMENT_NAME_MAX 64    /* of a policy, a template or a preset; a project's is KW_PROJECT_MAX */
#define KW_DOCUMENT_COUNT_MAX 1000 /* projects; policies of a project; templates of a project */
#define KW_WEBHOOK_COUNT_MAX 100   /* webhooks of a project */
#define KW_CHANNEL_COUNT_MAX 100   /* channels of a project */
#define KW_ENVIRONMENT_COUNT_MAX 16
#define KW_PRESET_COUNT_MAX 64
#define KW_KEY_HEADER_COUNT_MAX 8 /* headers that a project's keys may stand in */
#define KW_KEY_HEADER_MAX 64      /* bytes of such a header's name, or of a query parameter's */
#define KW_CREATOR_COUNT_MAX 64   /* management keys that a policy names */
#define KW_METRIC_COUNT_MAX 16    /* metrics of a project's own */
#define KW_PROFILE_COUNT_MAX 64   /* what a project's gateways may ask under a name */

enum kw_document_kind {
    KW_DOCUMENT_PROJECT,
    KW_DOCUMENT_POLICY,
    KW_DOCUMENT_TEMPLATE,
    KW_DOCUMENT_WEBHOOK,
    KW_DOCUMENT_CHANNEL
};

#ifdef __cplusplus
}
#endif
#endif
