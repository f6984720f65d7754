/* The page and its files. How they are served is files.c's; the page's own is the cookie, which only scopes idempotency
 * keys. */
#include "gateway/client.h"
#include "gateway/endpoints.h"
#include "gateway/files.h"

#include <stdio.h>
#include <sys/random.h>

extern const char web_index_html[], web_index_html_end[], web_page_js[], web_page_js_end[], web_text_js[], web_text_js_end[],
	web_words_js[], web_words_js_end[], web_lastword_js[], web_lastword_js_end[];

static const struct file files[] = {
	{"/", FILE_HTML, web_index_html, web_index_html_end},
	{"/page.js", FILE_SCRIPT, web_page_js, web_page_js_end},
	{"/text.js", FILE_SCRIPT, web_text_js, web_text_js_end},
	{"/words.js", FILE_SCRIPT, web_words_js, web_words_js_end},
	{"/lastword.js", FILE_SCRIPT, web_lastword_js, web_lastword_js_end},
	{"/page.css", FILE_CSS, web_page_css, web_page_css_end},
};

static const struct file *find(span path) { return files_find(files, sizeof files / sizeof *files, path); }

bool page_has(span path) { return find(path); }

static void put_hex(char *out, const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void set_cookie(const struct worker *w, struct exchange *x)
{
	struct client by;
	unsigned char random[16];
	char hex[33], field[96];
	if (headers_cookie(exchange_head(x), "lastword_page").p || getrandom(random, sizeof random, 0) != sizeof random)
		return;
	put_hex(hex, random, sizeof random);
	/* No Path: the browser takes the page's own folder, also behind a prefix that we do not know of. */
	client_read(&by, w->config, x);
	snprintf(field, sizeof field, "lastword_page=%s; HttpOnly; SameSite=Strict%s", hex, by.is_secure ? "; Secure" : "");
	exchange_field(x, "Set-Cookie", span_str(field));
}

void page_get(struct worker *w, struct exchange *x, const struct route *route)
{
	const struct file *f = find(exchange_target(x)->path);
	if (f == &files[0])
		set_cookie(w, x);
	files_answer(x, f);
}
