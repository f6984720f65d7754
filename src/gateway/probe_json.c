/* What `lastword check` found, for scripts: one object with the same facts, a member for each. Names of ends, causes
 * and proofs are those of the last word; what was not seen is null. */
#include "gateway/probe_parts.h"


static const char *name_of_framing(enum http_framing framing)
{
	static const char *const names[] = {
		[HTTP_NO_BODY] = "none", [HTTP_LENGTH] = "length", [HTTP_CHUNKED] = "chunked", [HTTP_UNTIL_CLOSE] = "close"};
	return names[framing];
}

static const char *name_of_known(enum probe_known known)
{
	static const char *const names[] = {
		[KNOWN_NOT] = "default", [KNOWN_BY_NAME] = "name", [KNOWN_BY_PATH] = "path", [KNOWN_BY_EVENT] = "event"};
	return names[known];
}

static const char *name_of_leaving(enum probe_leaving leaving)
{
	static const char *const names[] = {
		[LEAVING_NOT_TRIED] = "not_tried", [LEAVING_FAILED] = "no_token", [LEAVING_TOO_SHORT] = "too_short",
		[LEAVING_CLOSED] = "closed", [LEAVING_WENT_ON] = "went_on", [LEAVING_STAYED] = "stayed"};
	return names[leaving];
}

static json_t *word(const char *s) { return s && *s ? json_string(s) : json_null(); }
static json_t *ms(int64_t n) { return n >= 0 ? json_integer(n) : json_null(); }
static json_t *count(uint64_t n) { return json_integer((json_int_t)n); }

static json_t *verdict(const struct probe_facts *f)
{
	const struct cause_row *row = cause_row(f->verdict.cause);
	char finish[DIALECT_WORD];
	probe_look_copy(finish, sizeof finish, span_str(f->evidence->seen->finish));
	return json_pack("{s:b, s:s, s:s, s:o, s:o, s:b, "
		"s:o}", "proved", probe_is_proved(f), "end", cause_end_name(row->end), "cause",
		row->name, "proof", word(proof_name(f->verdict.proof)), "finish", word(finish), "end_marker_seen",
		f->evidence->seen->terminator, "detail", word(f->detail));
}

static json_t *answer(const struct probe_facts *f)
{
	const struct probe_look *l = f->look;
	if (!l->status)
		return json_null();
	return json_pack("{s:i, s:o, s:o, s:s, s:o, s:o, s:o}", "status", l->status, "media_type", word(l->type),
		"content_encoding", word(l->encoding), "framing", name_of_framing(l->framing), "content_length",
		l->framing == HTTP_LENGTH ? count(l->length) : json_null(), "location", word(l->location), "message",
		word(f->message));
}

static json_t *counts(const struct probe_facts *f)
{
	const struct probe_look *l = f->look;
	const struct seen *s = f->evidence->seen;
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "events", count(l->events), "comments",
		count(l->comments), "pings", count(l->pings), "bytes", count(l->bytes), "text_events", count(f->text_events),
		"text_bytes", count(f->text_bytes), "raw_newlines", count(probe_look_raw_newlines(l)), "late_bytes",
		count(f->late_bytes), "prompt_tokens", ms(s->prompt_tokens), "completion_tokens", ms(s->completion_tokens));
}

static json_t *times(const struct probe_facts *f)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, "
		"s:I}", "connected", ms(f->connect_ms), "answered", ms(f->head_ms), "first_token",
		ms(f->first_ms), "verdict", ms(f->end_ms), "body_over", ms(f->body_end_ms), "longest_gap",
		(json_int_t)f->gap_ms);
}

static const char *name_of_busy(enum probe_busy busy)
{
	static const char *const names[] = {
		[BUSY_UNKNOWN] = NULL, [BUSY_FELL] = "fell", [BUSY_FELL_LATER] = "fell_when_closed", [BUSY_STAYED] = "stayed"};
	return names[busy];
}

static json_t *leaving(const struct probe_facts *f)
{
	const bool left = f->leaving == LEAVING_CLOSED || f->leaving == LEAVING_WENT_ON || f->leaving == LEAVING_STAYED;
	const bool fell = f->busy == BUSY_FELL || f->busy == BUSY_FELL_LATER;
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "seen", name_of_leaving(f->leaving), "ms",
		left ? ms(f->leaving_ms) : json_null(), "events", left ? count(f->leaving_events) : json_null(), "busy",
		word(name_of_busy(f->busy)), "busy_by", word(f->busy_by), "busy_ms", fell ? ms(f->busy_ms) : json_null());
}

static json_t *advice(const struct probe_advice *a)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->sentences; i++)
		json_array_append_new(list, json_string(a->sentence[i]));
	return list;
}

static json_t *route(const struct probe_advice *a)
{
	static const char *const markers[] = {"optional", "required", "none"};
	struct buf yaml = {0};
	if (!a->has_route)
		return json_null();
	probe_print_route(a, &yaml);
	json_t *all = json_pack("{s:s, s:s, s:s, "
		"s:s#}", "dialect", a->route.dialect_auto ? "auto" : a->route.dialect->name, "finish",
		a->route.finish_optional ? "optional" : "required", "end_marker", markers[a->route.end_marker], "yaml",
		yaml.p, yaml.n);
	buf_finish(&yaml);
	return all;
}

static int put(const char *bytes, size_t n, void *out)
{
	buf_put(out, span_of(bytes, n));
	return 0;
}

void probe_print_json(const struct probe_facts *f, const struct probe_advice *a, struct buf *out)
{
	json_t *all = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o}", "url", f->route->upstream[0].text,
		"method", f->by_get ? "GET" : "POST", "dialect", f->dialect->name, "dialect_known_by", name_of_known(f->known),
		"verdict", verdict(f), "answer", answer(f), "counts", counts(f), "ms", times(f), "leaving", leaving(f),
		"advice", advice(a), "route", route(a));
	out->failed |= !all || json_dump_callback(all, put, out, JSON_INDENT(2)) != 0;
	json_decref(all);
	buf_put_byte(out, '\n');
}
