/* The page and its files, embedded in the binary (tools/embed.S). Each has an ETag, so that a browser asks again and is told
 * "not modified"; the content policy forbids everything that the page does not do, inline scripts first: a model's
 * answer is text that somebody else wrote. The cookie only scopes idempotency keys. */
#include "gateway/endpoints.h"

#include <libdeflate.h>
#include <stdio.h>
#include <sys/random.h>

extern const char web_index_html[], web_index_html_end[], web_page_js[], web_page_js_end[], web_page_css[], web_page_css_end[],
	web_lastword_js[], web_lastword_js_end[];

static const struct file {
	const char *path, *type, *from, *to;
} files[] = {
	{"/", "text/html; charset=utf-8", web_index_html, web_index_html_end},
	{"/page.js", "text/javascript; charset=utf-8", web_page_js, web_page_js_end},
	{"/lastword.js", "text/javascript; charset=utf-8", web_lastword_js, web_lastword_js_end},
	{"/page.css", "text/css; charset=utf-8", web_page_css, web_page_css_end},
};

static const struct file *find(span path)
{
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (span_is(path, files[i].path))
			return &files[i];
	return NULL;
}

bool page_has(span path) { return find(path); }

static void put_hex(char *out, const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void set_cookie(struct exchange *x)
{
	unsigned char random[16];
	char hex[33], field[96];
	if (headers_cookie(exchange_head(x), "lastword_page").p || getrandom(random, sizeof random, 0) != sizeof random)
		return;
	put_hex(hex, random, sizeof random);
	/* No Path: the browser takes the page's own folder, also behind a prefix that we do not know of. */
	snprintf(field, sizeof field, "lastword_page=%s; HttpOnly; SameSite=Strict", hex);
	exchange_field(x, "Set-Cookie", span_str(field));
}

void page_get(struct worker *w, struct exchange *x, const struct route *route)
{
	const struct file *f = find(exchange_target(x)->path);
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
	if (f == &files[0])
		set_cookie(x);
	if (span_is(headers_get(exchange_head(x), "if-none-match"), etag))
		exchange_answer(x, 304, NULL, (span){0});
	else
		exchange_answer(x, 200, f->type, bytes);
}
