/* What the lines of a message's head say, and whether they may say it (RFC 9112 §3–§6, §9.3). For http1.c only. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "http/http1.h"

/* Each returns a fault whose message is NULL when all is well. Lines come without their CRLF; spans put into the head
 * point into what was given. */
MUST struct http1_fault head_request_line(struct http_head *head, span line);
MUST struct http1_fault head_status_line(struct http_head *head, span line);

/* Splits whole lines, each with its CRLF, into table, which has room for one field a line. A request's fields whose
 * names hold '_' are left out. Sets head->fields. */
MUST struct http1_fault head_split_fields(struct http_head *head, span lines, struct http_field *table,
	enum http1_role role);

/* After the fields: framing, keep_alive, and what else a head must say or must not. */
MUST struct http1_fault head_judge_request(struct http_head *head);
MUST struct http1_fault head_judge_response(struct http_head *head, bool answers_head);

#endif
