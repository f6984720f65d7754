/* The operator's site, on a listener of its own: health for orchestrators, figures for Prometheus, and a page for a person who
 * was woken by either of them.
 *
 * It is no part of the public site, because who may ask for an answer need not know who else does. It only reads: no
 * method here but GET and HEAD, so a page on the web that makes a browser ask here changes nothing, and without CORS fields it
 * cannot read what it was told. The Host is not asked: scrapers and probes come by any name.
 *
 * Invariants
 * 1. Nothing here is a capability: no whole id, no prompt, no answer.
 * 2. It is answered while the gateway drains, to the very end.
 *
 * What is counted: metrics.c. What is told of each stream: status.c. */
#include "gateway/census.h"
#include "gateway/crew.h"
#include "gateway/endpoints.h"
#include "gateway/files.h"
#include "gateway/status.h"

extern const char web_admin_html[], web_admin_html_end[], web_admin_js[], web_admin_js_end[], web_admin_css[], web_admin_css_end[];

static const struct file files[] = {
	{"/", FILE_HTML, web_admin_html, web_admin_html_end},
	{"/admin.js", FILE_SCRIPT, web_admin_js, web_admin_js_end},
	{"/admin.css", FILE_CSS, web_admin_css, web_admin_css_end},
	{"/page.css", FILE_CSS, web_page_css, web_page_css_end},
};

static const struct file *find_file(span path) { return files_find(files, sizeof files / sizeof *files, path); }

static void serve_file(struct worker *w, struct exchange *x) { files_answer(x, find_file(exchange_target(x)->path)); }

static void print_metrics(struct buf *out, const struct worker *w, struct census *c)
{
	struct memory_bytes memory = budget_kinds(w->crew);
	metrics_print(out, &c->sum, &w->crew->labels, &memory);
	metrics_print_keys(out, &w->crew->accounts);
}

static void serve_metrics(struct worker *w, struct exchange *x)
{
	census_take(w, x, false, print_metrics, "text/plain; version=0.0.4; charset=utf-8");
}

static void serve_streams(struct worker *w, struct exchange *x)
{
	census_take(w, x, true, status_print, "application/json");
}

static void serve_health(struct worker *w, struct exchange *x) { exchange_answer(x, 200, "text/plain", SPAN("ok\n")); }

static void serve_readiness(struct worker *w, struct exchange *x)
{
	if (worker_is_draining(w))
		exchange_answer(x, 503, "text/plain", SPAN("draining\n"));
	else
		exchange_answer(x, 200, "text/plain", SPAN("ok\n"));
}

typedef void serve(struct worker *w, struct exchange *x);

static const struct endpoint {
	const char *path;
	serve *get;
} endpoints[] = {
	{"/streams", serve_streams},
	{"/metrics", serve_metrics},
	{"/healthz", serve_health},
	{"/readyz", serve_readiness},
};

static serve *find(span path)
{
	for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++)
		if (span_is(path, endpoints[i].path))
			return endpoints[i].get;
	return find_file(path) ? serve_file : NULL;
}

void admin_on_request(void *worker, struct exchange *x)
{
	span method = exchange_head(x)->method;
	serve *get = find(exchange_target(x)->path);
	if (!get)
		exchange_refuse(x, 404, NULL, "Nothing is here; there are /, /streams, /metrics, /healthz and /readyz.");
	else if (!span_is(method, "GET") && !span_is(method, "HEAD")) {
		exchange_field(x, "Allow", SPAN("GET, HEAD"));
		exchange_refuse(x, 405, NULL, "That method does nothing here; Allow names those that do.");
	} else
		get(worker, x);
}
