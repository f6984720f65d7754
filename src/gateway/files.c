/* Embedded files over HTTP. Each has an ETag, so that a browser asks again and is told "not modified". The content policy
 * forbids everything that our pages do not do, inline scripts first: what a page shows (a model's answer, a route's
 * name) is text that somebody else wrote. Which files there are is each site's table: page.c, admin.c. */
#include "gateway/files.h"

#include <libdeflate.h>
#include <stdio.h>

const struct file *files_find(const struct file *list, size_t n, span path)
{
	for (size_t i = 0; i < n; i++)
		if (span_is(path, list[i].path))
			return &list[i];
	return NULL;
}

void files_answer(struct exchange *x, const struct file *f)
{
	span bytes = span_of(f->from, (size_t)(f->to - f->from));
	char etag[16];
	snprintf(etag, sizeof etag, "\"%08x\"", libdeflate_crc32(0, bytes.p, bytes.n));
	exchange_field(x, "ETag", span_str(etag));
	exchange_field(x, "Cache-Control", SPAN("no-cache"));
	exchange_field(x, "X-Content-Type-Options", SPAN("nosniff"));
	exchange_field(x, "Referrer-Policy", SPAN("no-referrer"));
	exchange_field(x, "Content-Security-Policy",
	               SPAN("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
	                    "form-action 'none'; frame-ancestors 'none'"));
	if (span_is(headers_get(exchange_head(x), "if-none-match"), etag))
		exchange_answer(x, 304, NULL, (span){0});
	else
		exchange_answer(x, 200, f->type, bytes);
}
