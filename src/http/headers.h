/* Looking things up in a message's header fields (RFC 9110 §5). */
#ifndef HTTP_HEADERS_H
#define HTTP_HEADERS_H

#include "http/http1.h"

/* The value of the first field of that name; p is NULL when there is none. */
span headers_get(const struct http_head *head, const char *name);
size_t headers_count(const struct http_head *head, const char *name);

/* True when a comma-separated list field holds that token, ignoring case. */
bool headers_has_token(const struct http_head *head, const char *name, const char *token);

/* True for fields that belong to one connection and never cross a proxy (RFC 9110 §7.6.1), those that Connection
 * names included, except the ones that it must never name (Host, Authorization, Content-Length, Last-Event-ID …). */
bool headers_is_hop_by_hop(const struct http_head *head, span name);

/* The media type without parameters: "text/event-stream; charset=utf-8" → "text/event-stream". */
span headers_media_type(span content_type);

/* The value of a cookie in the Cookie field; p is NULL when there is none. */
span headers_cookie(const struct http_head *head, const char *name);

/* How much the client's Accept says about a media type: named exactly, only matched by a range or by having no Accept
 * at all, or refused (not listed, or q=0). */
enum headers_accept { ACCEPT_NO, ACCEPT_RANGE, ACCEPT_NAMED };
enum headers_accept headers_accepts(const struct http_head *head, const char *media_type);

#endif
