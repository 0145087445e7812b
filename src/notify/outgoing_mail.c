#include "notify/outgoing_mail.h"

#include <curl/curl.h>
#include <stdio.h>

static size_t give_mail(char *out, size_t size, size_t count, void *context)
{
    struct kw_outgoing_request *request = context;
    size_t room = size * count;
    size_t left = request->body.size - request->sent;
    size_t some = left < room ? left : room;
    memcpy(out, request->body.data + request->sent, some);
    request->sent += some;
    return some;
}

static bool set_login(CURL *easy, const struct kw_mail_relay *relay)
{
    char password[KW_SECRET_MAX + 1];
    struct kw_bytes secret = kw_secret_expose(&relay->password);
    if (relay->user == NULL) {
        return true;
    }
    memcpy(password, secret.data, secret.size);
    password[secret.size] = '\0';
    bool good = curl_easy_setopt(easy, CURLOPT_USERNAME, relay->user) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_PASSWORD, password) == CURLE_OK;
    kw_wipe(password, sizeof password);
    return good;
}

bool kw__outgoing_set_mail(void *handle, struct kw_outgoing_request *request)
{
    CURL *easy = handle;
    const struct kw_outgoing_mail *mail = request->mail;
    const struct kw_mail_relay *relay = mail->relay;
    struct curl_slist *list = NULL;
    char address[KW_MAIL_ADDRESS_MAX + 3];
    for (size_t i = 0; i < mail->to_count; i++) {
        (void)snprintf(address, sizeof address, "<%s>", mail->to[i]);
        struct curl_slist *longer = curl_slist_append(list, address);
        if (longer == NULL) {
            curl_slist_free_all(list);
            return false;
        }
        list = longer;
    }
    request->header_list = list;
    (void)snprintf(address, sizeof address, "<%s>", relay->from);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    /* What is to be encrypted is never sent in the clear: a relay that does not offer STARTTLS gets nothing. */
    (void)curl_easy_setopt(easy, CURLOPT_USE_SSL,
                           relay->tls == KW_MAIL_NO_TLS ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL);
    (void)curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_mail);
    (void)curl_easy_setopt(easy, CURLOPT_READDATA, request);
    (void)curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body.size);
    /* One address that is refused does not keep the mail from the others. */
    (void)curl_easy_setopt(easy, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
    /* No connection is kept: what a relay closes in between would look like a failure. */
    (void)curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    return set_login(easy, relay) &&
           (relay->ca_file == NULL || curl_easy_setopt(easy, CURLOPT_CAINFO, relay->ca_file) == CURLE_OK) &&
           curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, list) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAIL_FROM, address) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK;
}
