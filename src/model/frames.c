/* Printing answers.
 *
 * JSON is printed by hand here: every frame has a fixed shape with one or two strings in it, and a tree built for each
 * token only to be printed and freed would say less clearly what goes over the wire. What comes from outside, text and
 * the model's name, goes through sse_print_json_string and nothing else.
 *
 * 1. A frame is one block: complete lines and the blank line behind them.
 * 2. Exactly one of frames_finish and frames_error (frames_plain_close and frames_plain_failed) ends a stream; only the
 *    first of them says [DONE].
 *
 * Which frames are said when: call.c. */
#include "model/frames.h"

#include "base/check.h"
#include "sse/print.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

void frames_init(struct frames *f, const char *model, bool include_usage)
{
	uint64_t random[2];
	CHECK(getrandom(random, sizeof random, 0) == sizeof random);
	*f = (struct frames){.model = model, .created = time(NULL), .include_usage = include_usage};
	snprintf(f->id, sizeof f->id, "chatcmpl-%012" PRIx64 "%012" PRIx64, random[0] >> 16, random[1] >> 16);
}

void frames_queue(struct buf *out, unsigned place) { buf_printf(out, ": queue %u\n\n", place); }

static void print_head(struct buf *out, const struct frames *f, const char *object)
{
	buf_printf(out, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%" PRId64 ",\"model\":", f->id, object, f->created);
	sse_print_json_string(out, span_str(f->model));
}

static void print_usage(struct buf *out, struct frames_usage u)
{
	buf_printf(out, ",\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%u}", u.prompt,
	           u.completion,
	           u.prompt + u.completion);
}

static void begin_chunk(struct buf *out, const struct frames *f)
{
	buf_put(out, SPAN("data: "));
	print_head(out, f, "chat.completion.chunk");
	buf_put(out, SPAN(",\"choices\":["));
}

static void end_chunk(struct buf *out, const struct frames *f)
{
	buf_put(out, SPAN("]"));
	if (f->include_usage)
		buf_put(out, SPAN(",\"usage\":null"));
	buf_put(out, SPAN("}\n\n"));
}

void frames_role(struct buf *out, const struct frames *f)
{
	begin_chunk(out, f);
	buf_put(out, SPAN("{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}"));
	end_chunk(out, f);
}

void frames_content(struct buf *out, const struct frames *f, span text)
{
	begin_chunk(out, f);
	buf_put(out, SPAN("{\"index\":0,\"delta\":{\"content\":"));
	sse_print_json_string(out, text);
	buf_put(out, SPAN("},\"finish_reason\":null}"));
	end_chunk(out, f);
}

void frames_finish(struct buf *out, const struct frames *f, const char *finish, struct frames_usage usage)
{
	begin_chunk(out, f);
	buf_printf(out, "{\"index\":0,\"delta\":{},\"finish_reason\":\"%s\"}", finish);
	end_chunk(out, f);
	if (f->include_usage) {
		begin_chunk(out, f);
		buf_put(out, SPAN("]"));
		print_usage(out, usage);
		buf_put(out, SPAN("}\n\n"));
	}
	buf_put(out, SPAN("data: [DONE]\n\n"));
}

static void print_error(struct buf *out, const char *message)
{
	buf_put(out, SPAN("data: {\"error\":{\"message\":"));
	sse_print_json_string(out, span_str(message));
	buf_put(out, SPAN(",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n"));
}

void frames_error(struct buf *out, const char *message) { print_error(out, message); }

void frames_completion(struct buf *out, const struct frames *f, span text, const char *finish,
                       struct frames_usage usage)
{
	print_head(out, f, "chat.completion");
	buf_put(out, SPAN(",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"));
	sse_print_json_string(out, text);
	buf_printf(out, "},\"logprobs\":null,\"finish_reason\":\"%s\"}]", finish);
	print_usage(out, usage);
	buf_put(out, SPAN("}\n"));
}

void frames_models(struct buf *out, const char *model, int64_t created)
{
	buf_put(out, SPAN("{\"object\":\"list\",\"data\":[{\"id\":"));
	sse_print_json_string(out, span_str(model));
	buf_printf(out, ",\"object\":\"model\",\"created\":%" PRId64 ",\"owned_by\":\"lastword\"}]}\n", created);
}

/* The text with CR and CRLF as LF. */
static void put_lines(struct buf *out, span text, bool *after_cr)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (!(c == '\n' && *after_cr))
			buf_put_byte(out, c == '\r' ? '\n' : c);
		*after_cr = c == '\r';
	}
}

void frames_plain(struct buf *out, span text, bool *after_cr)
{
	struct buf lines = {0};
	put_lines(&lines, text, after_cr);
	if (lines.n) {
		sse_print_data(out, SSE_TEXT, buf_span(&lines));
		buf_put_byte(out, '\n');
	}
	out->failed = out->failed || lines.failed;
	buf_finish(&lines);
}

void frames_plain_close(struct buf *out, const char *finish)
{
	buf_printf(out, "event: close\ndata: {\"finish\":\"%s\"}\n\n", finish);
}

void frames_plain_failed(struct buf *out, const char *message)
{
	buf_put(out, SPAN("event: failed\n"));
	print_error(out, message);
}
