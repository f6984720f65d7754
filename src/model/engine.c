/* The engine's thread: load, then take what is asked and step until told to stop.
 *
 * libllama computes for milliseconds at a time and knows no readiness to wait for, so it cannot live in the loop. It
 * has a thread of its own, and the two share nothing but this: answers go over in a list under a mutex, with a
 * condition to wake the thread when it sleeps for want of work; wishes about a running answer (left, paused) are atomic
 * flags in it; text and ends come back by mail.
 *
 * The order of teardown in libllama matters: samplers, context, model, backend.
 *
 * 1. The engine looks at an answer from engine_begin until it has posted its ENGINE_END, and never after.
 * 2. Mail about an answer comes in order; its end is the last, and needs no memory: it lies in the answer.
 * 3. The thread sleeps only when `fresh` is empty, nothing was left, and every answer is paused or there is none. Who
 *    changes any of this takes the mutex to signal, so no wake is lost.
 *
 * The context: `context` tokens for each slot, in a cache of its own; libllama divides n_ctx by the slots. Flash
 * attention and the types of the cache are libllama's defaults. */
#include "model/engine.h"

#include "base/clock.h"
#include "base/log.h"
#include "model/batch.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>

enum {
	THREADS_MOST = 16, /* beyond it the threads of a small model mostly wait for one another */
	STOP_S = 1,        /* an aborted step ends within milliseconds; a disk that hangs while the model loads may never */
};

struct engine {
	struct engine_options options;
	const struct engine_events *events;
	void *owner;
	struct mailbox mailbox;
	pthread_t thread;
	struct engine_news loaded;
	struct engine_facts facts;
	struct llama_model *model;
	struct batch batch;
	atomic_bool stopping;

	pthread_mutex_t mutex;
	pthread_cond_t wake;
	STAILQ_HEAD(answers, answer) fresh;
	bool woken;  /* something changed since the thread looked last */
};

struct text_news {
	struct engine_news news;
	size_t n;
	char text[];
};

/* The loop's side. */

static void on_mail(void *owner, struct mail *mail)
{
	struct engine *e = owner;
	struct engine_news *news = (struct engine_news *)mail;
	struct text_news *text = (struct text_news *)news;
	switch (news->kind) {
	case ENGINE_LOADED:
		e->events->on_loaded(e->owner, &e->facts);
		break;
	case ENGINE_NOT_LOADED:
		e->events->on_loaded(e->owner, NULL);
		break;
	case ENGINE_TEXT:
		e->events->on_text(e->owner, news->answer, span_of(text->text, text->n));
		free(text);
		break;
	case ENGINE_END:
		e->events->on_end(e->owner, news->answer);
		break;
	}
}

static void wake(struct engine *e)
{
	pthread_mutex_lock(&e->mutex);
	e->woken = true;
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&e->mutex);
}

void engine_begin(struct engine *e, struct answer *a)
{
	a->tokens = 0;
	atomic_init(&a->left, false);
	atomic_init(&a->paused, false);
	pthread_mutex_lock(&e->mutex);
	STAILQ_INSERT_TAIL(&e->fresh, a, link);
	pthread_mutex_unlock(&e->mutex);
	wake(e);
}

void engine_leave(struct engine *e, struct answer *a)
{
	atomic_store(&a->left, true);
	wake(e);
}

void engine_pause(struct engine *e, struct answer *a, bool paused)
{
	atomic_store(&a->paused, paused);
	wake(e);
}

/* The engine's side. */

static void post(struct engine *e, struct engine_news *news, enum engine_news_kind kind, struct answer *a)
{
	news->kind = kind;
	news->answer = a;
	mailbox_post(&e->mailbox, &news->mail);
}

static void on_text(void *owner, struct answer *a, span text)
{
	struct engine *e = owner;
	struct text_news *t = malloc(sizeof *t + text.n);
	CHECK(t); /* some dozen bytes, of our own measure */
	t->n = text.n;
	memcpy(t->text, text.p, text.n);
	post(e, &t->news, ENGINE_TEXT, a);
}

static void on_end(void *owner, struct answer *a, enum answer_end end)
{
	a->end = end;
	post(owner, &a->last, ENGINE_END, a);
}

static void on_log(enum ggml_log_level level, const char *text, void *owner)
{
	const struct engine *e = owner;
	if (level == GGML_LOG_LEVEL_ERROR && !batch_is_aborted(&e->batch))
		log_say(LOG_ERROR, "llama", "%.*s", (int)strcspn(text, "\n"), text);
}

static bool on_progress(float done, void *owner)
{
	const struct engine *e = owner;
	return !atomic_load(&e->stopping);
}

/* One processor is left for the loop, the gateway and the browser beside us: libllama's threads wait for one another by
 * spinning, hundreds of times for each token, and when one of them is not on a processor the others burn theirs until
 * it is. On two busy processors one thread was measured to be ten times as fast as two. */
static unsigned choose_threads(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) - 1 : 1;
	return n < 1 ? 1 : n < THREADS_MOST ? (unsigned)n : THREADS_MOST;
}

static unsigned fitting_context(const struct engine *e)
{
	int32_t trained = llama_model_n_ctx_train(e->model);
	if (trained <= 0 || e->options.context <= (unsigned)trained)
		return e->options.context;
	log_say(LOG_WARN, "context_cut", "the model was trained for a context of %d tokens: %u is cut to that", trained,
	        e->options.context);
	return (unsigned)trained;
}

static struct llama_context *make_context(struct engine *e)
{
	struct llama_context_params p = llama_context_default_params();
	p.n_ctx = e->facts.context * e->options.slots;
	p.n_seq_max = e->options.slots;
	p.n_batch = p.n_ubatch = BATCH_SLICE + e->options.slots;
	p.n_threads = p.n_threads_batch = (int32_t)e->facts.threads;
	p.kv_unified = false; /* batch.c tells why */
	p.no_perf = true;
	return llama_init_from_model(e->model, p);
}

/* One token through the whole graph: the weights are mapped, and their first reader waits for the disk. */
static void warm_up(struct engine *e)
{
	llama_token token = 0;
	if (llama_decode(e->batch.llama, llama_batch_get_one(&token, 1)) == 0)
		llama_memory_clear(llama_get_memory(e->batch.llama), false);
}

static bool load_model(struct engine *e)
{
	struct llama_model_params p = llama_model_default_params();
	p.progress_callback = on_progress;
	p.progress_callback_user_data = e;
	e->model = llama_model_load_from_file(e->options.file, p);
	if (e->model && (llama_model_has_encoder(e->model) || !llama_model_has_decoder(e->model))) {
		log_say(LOG_ERROR, "model_unusable", "%s is no model that continues a text", e->options.file);
		return false;
	}
	return e->model;
}

static bool load(struct engine *e)
{
	uint64_t begun = clock_ms();
	if (!load_model(e))
		return false;
	e->facts.model = e->model;
	e->facts.context = fitting_context(e);
	e->facts.threads = e->options.threads ? e->options.threads : choose_threads();
	struct llama_context *llama = make_context(e);
	if (!llama)
		return false;
	e->facts.total = llama_n_ctx(llama);
	e->batch = (struct batch){.llama = llama, .context = e->facts.context, .slots = e->options.slots,
	                          .stopping = &e->stopping,
	                          .on_text = on_text, .on_end = on_end, .owner = e};
	batch_open(&e->batch);
	warm_up(e);
	e->facts.load_ms = clock_ms() - begun;
	return true;
}

/* Takes what is new; sleeps first when there is nothing to do. */
static void take_fresh(struct engine *e, bool idle)
{
	struct answers fresh = STAILQ_HEAD_INITIALIZER(fresh);
	struct answer *a;
	pthread_mutex_lock(&e->mutex);
	while (idle && !e->woken && !atomic_load(&e->stopping))
		pthread_cond_wait(&e->wake, &e->mutex);
	e->woken = false;
	STAILQ_CONCAT(&fresh, &e->fresh);
	pthread_mutex_unlock(&e->mutex);
	while ((a = STAILQ_FIRST(&fresh))) {
		STAILQ_REMOVE_HEAD(&fresh, link);
		batch_begin(&e->batch, a);
	}
}

static void decode(struct engine *e)
{
	bool idle = true;
	while (!atomic_load(&e->stopping)) {
		take_fresh(e, idle);
		batch_sweep(&e->batch);
		idle = !batch_step(&e->batch);
	}
	batch_close(&e->batch);
}

static void *run(void *owner)
{
	struct engine *e = owner;
	llama_log_set(on_log, e);
	llama_backend_init();
	bool loaded = load(e);
	post(e, &e->loaded, loaded ? ENGINE_LOADED : ENGINE_NOT_LOADED, NULL);
	if (loaded)
		decode(e);
	if (e->model)
		llama_model_free(e->model);
	llama_backend_free();
	return NULL;
}

/* Signals are the loop's: neither this thread nor those that libllama starts from it shall get one. */
static void start_thread(struct engine *e)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	CHECK(pthread_create(&e->thread, NULL, run, e) == 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct engine *engine_start(struct loop *l, const struct engine_options *o, const struct engine_events *events,
                            void *owner)
{
	struct engine *e = calloc(1, sizeof *e);
	CHECK(e);
	e->options = *o;
	e->events = events;
	e->owner = owner;
	STAILQ_INIT(&e->fresh);
	CHECK(pthread_mutex_init(&e->mutex, NULL) == 0 && pthread_cond_init(&e->wake, NULL) == 0);
	mailbox_open(&e->mailbox, l, on_mail, e);
	start_thread(e);
	return e;
}

/* Mail that will not be delivered any more. */
static void throw_away(struct engine *e)
{
	struct mail *mail;
	while ((mail = STAILQ_FIRST(&e->mailbox.waiting))) {
		STAILQ_REMOVE_HEAD(&e->mailbox.waiting, link);
		if (((struct engine_news *)mail)->kind == ENGINE_TEXT)
			free(mail);
	}
}

bool engine_stop(struct engine *e)
{
	struct timespec latest;
	atomic_store(&e->stopping, true);
	wake(e);
	clock_gettime(CLOCK_REALTIME, &latest);
	latest.tv_sec += STOP_S;
	if (pthread_timedjoin_np(e->thread, NULL, &latest) != 0)
		return false;
	throw_away(e);
	mailbox_close(&e->mailbox);
	return true;
}

void engine_destroy(struct engine *e)
{
	pthread_mutex_destroy(&e->mutex);
	pthread_cond_destroy(&e->wake);
	free(e);
}
