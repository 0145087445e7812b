#include "server/request.h"

const struct kw_address *kw__client_address(struct kw_request *request)
{
    static const struct kw_forwarded nothing = {.count = 0};
    const struct kw_call *call = request->call;
    if (request->has_looked_for_client || call->peer_address == NULL) {
        return request->client_known;
    }
    const struct kw_forwarded *forwarded = call->forwarded == NULL ? &nothing : call->forwarded;
    request->has_looked_for_client = true;
    if (kw_forwarded_client(forwarded, call->peer_address, &request->api->options.origins.proxies, &request->client)) {
        request->client_known = &request->client;
    }
    return request->client_known;
}

bool kw__needs_place(const struct kw_api *api, const struct kw_verification *verification, struct kw_place *place_out)
{
    const struct kw_geo *geo = api->options.origins.geo;
    const struct kw_question *question = &verification->question;
    if (geo == NULL || question->address == NULL || question->place != NULL || verification->needs_store) {
        return false;
    }
    /* A refusal for the region is the first that a place can change; a dry run looks at the rule in any case. */
    bool matters = verification->code == KW_CODE_REGION_NOT_ALLOWED || verification->checks != NULL;
    return matters && kw_geo_find(geo, question->address, place_out);
}
