#include "stream/shelf.h"

#include "failing_malloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* A stream as an owner would have it. */
struct stream {
	struct shelf_entry entry;
	int drops;
};

static void on_drop(struct shelf_entry *entry)
{
	struct stream *x = (struct stream *)((char *)entry - offsetof(struct stream, entry));
	x->drops++;
	assert_null(entry->shelf);
}

static void put(struct shelf *s, struct stream *x)
{
	*x = (struct stream){0};
	id_make(&x->entry.id, 1, 2);
	shelf_put(s, &x->entry);
}

static span id_of(const struct stream *x) { return span_str(x->entry.id.text); }

static const unsigned char digest_a[SHELF_DIGEST] = {1, 2, 3}, digest_b[SHELF_DIGEST] = {1, 2, 4};

static void test_a_stream_is_found_by_its_id(void **state)
{
	struct shelf s;
	struct stream a, b;
	shelf_init(&s, 1000, on_drop);
	assert_null(shelf_find(&s, SPAN("AbC-_0123456789zyxwvuZ")));
	put(&s, &a);
	put(&s, &b);
	assert_ptr_equal(shelf_find(&s, id_of(&a)), &a.entry);
	assert_ptr_equal(shelf_find(&s, id_of(&b)), &b.entry);
	assert_int_equal(s.live, 2);
	shelf_remove(&a.entry);
	assert_null(shelf_find(&s, id_of(&a)));
	assert_ptr_equal(shelf_find(&s, id_of(&b)), &b.entry);
	shelf_finish(&s);
	assert_int_equal(a.drops, 0);
	assert_int_equal(b.drops, 1);
}

static void test_text_of_any_length_may_be_looked_for(void **state)
{
	struct shelf s;
	struct stream a;
	shelf_init(&s, 1000, on_drop);
	put(&s, &a);
	assert_null(shelf_find(&s, (span){0}));
	assert_null(shelf_find(&s, span_first(id_of(&a), 21)));
	assert_null(shelf_find(&s, span_of(a.entry.id.text, 23)));
	shelf_finish(&s);
}

static void test_a_key_finds_its_stream_in_its_scope_only(void **state)
{
	struct shelf s;
	struct stream a, b;
	shelf_init(&s, 1000, on_drop);
	put(&s, &a);
	put(&s, &b);
	assert_null(shelf_find_key(&s, SPAN("page"), SPAN("k")));
	assert_int_equal(shelf_take_key(&a.entry, SPAN("page"), SPAN("k"), digest_a), CAUSE_NONE);
	assert_int_equal(shelf_take_key(&b.entry, SPAN("other"), SPAN("k"), digest_b), CAUSE_NONE);
	assert_ptr_equal(shelf_find_key(&s, SPAN("page"), SPAN("k")), &a.entry);
	assert_ptr_equal(shelf_find_key(&s, SPAN("other"), SPAN("k")), &b.entry);
	assert_null(shelf_find_key(&s, SPAN("page"), SPAN("K")));
	shelf_finish(&s);
}

static void test_scope_and_key_do_not_run_together(void **state)
{
	struct shelf s;
	struct stream a, b, c;
	shelf_init(&s, 1000, on_drop);
	put(&s, &a);
	put(&s, &b);
	put(&s, &c);
	assert_int_equal(shelf_take_key(&a.entry, SPAN("ab"), SPAN("c"), digest_a), CAUSE_NONE);
	assert_null(shelf_find_key(&s, SPAN("a"), SPAN("bc")));
	assert_int_equal(shelf_take_key(&b.entry, SPAN("a"), SPAN("bc"), digest_a), CAUSE_NONE);
	assert_int_equal(shelf_take_key(&c.entry, (span){0}, (span){0}, digest_a), CAUSE_NONE);
	assert_ptr_equal(shelf_find_key(&s, SPAN("ab"), SPAN("c")), &a.entry);
	assert_ptr_equal(shelf_find_key(&s, SPAN("a"), SPAN("bc")), &b.entry);
	assert_ptr_equal(shelf_find_key(&s, SPAN(""), SPAN("")), &c.entry);
	shelf_finish(&s);
}

static void test_the_key_keeps_copies_and_the_bodys_digest(void **state)
{
	struct shelf s;
	struct stream a;
	char scope[] = "page", key[] = "k1";
	shelf_init(&s, 1000, on_drop);
	put(&s, &a);
	assert_false(shelf_has_digest(&a.entry, digest_a));
	assert_int_equal(shelf_take_key(&a.entry, span_str(scope), span_str(key), digest_a), CAUSE_NONE);
	scope[0] = key[0] = 'x';
	assert_ptr_equal(shelf_find_key(&s, SPAN("page"), SPAN("k1")), &a.entry);
	assert_true(shelf_has_digest(&a.entry, digest_a));
	assert_false(shelf_has_digest(&a.entry, digest_b));
	shelf_finish(&s);
}

static void test_a_released_key_starts_new_work(void **state)
{
	struct shelf s;
	struct stream failed, next;
	shelf_init(&s, 1000, on_drop);
	put(&s, &failed);
	assert_int_equal(shelf_take_key(&failed.entry, SPAN("page"), SPAN("k"), digest_a), CAUSE_NONE);
	shelf_sealed(&failed.entry, 10, 100);
	shelf_release_key(&failed.entry);
	shelf_release_key(&failed.entry);
	assert_null(shelf_find_key(&s, SPAN("page"), SPAN("k")));
	assert_false(shelf_has_digest(&failed.entry, digest_a));
	put(&s, &next);
	assert_int_equal(shelf_take_key(&next.entry, SPAN("page"), SPAN("k"), digest_b), CAUSE_NONE);
	assert_ptr_equal(shelf_find_key(&s, SPAN("page"), SPAN("k")), &next.entry);
	assert_ptr_equal(shelf_find(&s, id_of(&failed)), &failed.entry);
	shelf_finish(&s);
}

static void test_without_memory_there_is_no_key(void **state)
{
	struct shelf s;
	struct stream a;
	shelf_init(&s, 1000, on_drop);
	put(&s, &a);
	allocations_left = 0;
	assert_int_equal(shelf_take_key(&a.entry, SPAN("page"), SPAN("k"), digest_a), CAUSE_OVERLOADED);
	allocations_left = LONG_MAX;
	assert_null(shelf_find_key(&s, SPAN("page"), SPAN("k")));
	assert_int_equal(shelf_take_key(&a.entry, SPAN("page"), SPAN("k"), digest_a), CAUSE_NONE);
	shelf_finish(&s);
}

static void test_a_sealed_stream_is_kept_for_its_time(void **state)
{
	struct shelf s;
	struct stream a, b;
	shelf_init(&s, 1000, on_drop);
	put(&s, &a);
	put(&s, &b);
	assert_true(shelf_expire(&s, 0) == SHELF_NEVER);
	shelf_sealed(&a.entry, 100, 7);
	shelf_sealed(&b.entry, 300, 5);
	assert_int_equal(s.live, 0);
	assert_int_equal(s.kept, 2);
	assert_true(s.kept_bytes == 12);
	assert_true(shelf_expire(&s, 100) == 1100);
	assert_true(shelf_expire(&s, 1099) == 1100);
	assert_ptr_equal(shelf_find(&s, id_of(&a)), &a.entry);
	assert_true(shelf_expire(&s, 1100) == 1300);
	assert_null(shelf_find(&s, id_of(&a)));
	assert_int_equal(a.drops, 1);
	assert_ptr_equal(shelf_find(&s, id_of(&b)), &b.entry);
	assert_true(shelf_expire(&s, 9999) == SHELF_NEVER);
	assert_int_equal(b.drops, 1);
	assert_int_equal(s.kept, 0);
	assert_true(s.kept_bytes == 0);
	shelf_finish(&s);
}

static void test_dropping_a_stream_frees_its_key(void **state)
{
	struct shelf s;
	struct stream a;
	shelf_init(&s, 1000, on_drop);
	put(&s, &a);
	assert_int_equal(shelf_take_key(&a.entry, SPAN("page"), SPAN("k"), digest_a), CAUSE_NONE);
	shelf_sealed(&a.entry, 0, 1);
	assert_ptr_equal(shelf_find_key(&s, SPAN("page"), SPAN("k")), &a.entry);
	assert_true(shelf_expire(&s, 1000) == SHELF_NEVER);
	assert_null(shelf_find_key(&s, SPAN("page"), SPAN("k")));
	shelf_finish(&s);
}

static void test_keep_may_change_and_may_have_no_end(void **state)
{
	struct shelf s;
	struct stream a;
	shelf_init(&s, SHELF_NEVER, on_drop);
	put(&s, &a);
	shelf_sealed(&a.entry, 500, 1);
	assert_true(shelf_expire(&s, SHELF_NEVER - 1) == SHELF_NEVER);
	assert_int_equal(a.drops, 0);
	s.keep_ms = 100;
	assert_true(shelf_expire(&s, 599) == 600);
	s.keep_ms = 0;
	assert_true(shelf_expire(&s, 500) == SHELF_NEVER);
	assert_int_equal(a.drops, 1);
	shelf_finish(&s);
}

static void test_trimming_drops_the_oldest_and_never_a_live_one(void **state)
{
	struct shelf s;
	struct stream x[5];
	shelf_init(&s, 1000, on_drop);
	for (int i = 0; i < 5; i++)
		put(&s, &x[i]);
	for (int i = 3; i >= 0; i--) /* sealed 3, 2, 1, 0; 4 lives */
		shelf_sealed(&x[i].entry, 10, 100);
	assert_true(shelf_trim(&s, 400) == 0);
	assert_true(shelf_trim(&s, 399) == 100);
	assert_int_equal(x[3].drops, 1);
	assert_true(shelf_trim(&s, 150) == 200);
	assert_int_equal(x[2].drops + x[1].drops, 2);
	assert_int_equal(x[0].drops, 0);
	assert_true(s.kept_bytes == 100);
	assert_true(shelf_trim(&s, 0) == 100);
	assert_true(shelf_trim(&s, 0) == 0);
	assert_int_equal(x[4].drops, 0);
	assert_int_equal(s.live, 1);
	assert_ptr_equal(shelf_find(&s, id_of(&x[4])), &x[4].entry);
	shelf_finish(&s);
	assert_int_equal(x[4].drops, 1);
}

static void test_an_owner_may_take_a_kept_stream_back(void **state)
{
	struct shelf s;
	struct stream a, b;
	shelf_init(&s, 1000, on_drop);
	put(&s, &a);
	put(&s, &b);
	shelf_sealed(&a.entry, 1, 30);
	shelf_sealed(&b.entry, 2, 40);
	shelf_remove(&a.entry);
	assert_int_equal(s.kept, 1);
	assert_true(s.kept_bytes == 40);
	assert_true(shelf_expire(&s, 5000) == SHELF_NEVER);
	assert_int_equal(a.drops, 0);
	assert_int_equal(b.drops, 1);
	shelf_put(&s, &a.entry); /* as good as new */
	assert_int_equal(s.live, 1);
	shelf_finish(&s);
}

static struct shelf *shelf_to_trim;

static void free_and_trim(struct shelf_entry *entry)
{
	struct shelf_entry *other = TAILQ_FIRST(&shelf_to_trim->ages);
	free(entry);
	if (other)
		shelf_remove(other);
	free(other);
	(void)shelf_trim(shelf_to_trim, 0);
}

static void test_on_drop_may_free_the_entry_and_change_the_shelf(void **state)
{
	struct shelf s;
	shelf_init(&s, 1000, free_and_trim);
	shelf_to_trim = &s;
	for (int i = 0; i < 10; i++) {
		struct shelf_entry *entry = calloc(1, sizeof *entry);
		id_make(&entry->id, 0, 0);
		shelf_put(&s, entry);
		shelf_sealed(entry, 1, 1);
	}
	assert_true(shelf_expire(&s, 2000) == SHELF_NEVER);
	assert_int_equal(s.kept, 0);
	shelf_finish(&s);
}

static void test_thousands_are_found(void **state)
{
	enum { N = 3000 };
	struct shelf s;
	struct stream *x = calloc(N, sizeof *x);
	shelf_init(&s, 10, on_drop);
	for (uint64_t i = 0; i < N; i++) {
		put(&s, &x[i]);
		assert_int_equal(shelf_take_key(&x[i].entry, SPAN("s"), span_of(&i, sizeof i), digest_a), CAUSE_NONE);
		if (i % 2)
			shelf_sealed(&x[i].entry, i, 1);
	}
	for (uint64_t now = 0; now < N + 20; now++)
		(void)shelf_expire(&s, now);
	assert_int_equal(s.live, N / 2);
	assert_int_equal(s.kept, 0);
	for (uint64_t i = 0; i < N; i++) {
		struct shelf_entry *expected = i % 2 ? NULL : &x[i].entry;
		assert_ptr_equal(shelf_find(&s, id_of(&x[i])), expected);
		assert_ptr_equal(shelf_find_key(&s, SPAN("s"), span_of(&i, sizeof i)), expected);
		assert_int_equal(x[i].drops, i % 2);
	}
	shelf_finish(&s);
	free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stream_is_found_by_its_id),
		cmocka_unit_test(test_text_of_any_length_may_be_looked_for),
		cmocka_unit_test(test_a_key_finds_its_stream_in_its_scope_only),
		cmocka_unit_test(test_scope_and_key_do_not_run_together),
		cmocka_unit_test(test_the_key_keeps_copies_and_the_bodys_digest),
		cmocka_unit_test(test_a_released_key_starts_new_work),
		cmocka_unit_test(test_without_memory_there_is_no_key),
		cmocka_unit_test(test_a_sealed_stream_is_kept_for_its_time),
		cmocka_unit_test(test_dropping_a_stream_frees_its_key),
		cmocka_unit_test(test_keep_may_change_and_may_have_no_end),
		cmocka_unit_test(test_trimming_drops_the_oldest_and_never_a_live_one),
		cmocka_unit_test(test_an_owner_may_take_a_kept_stream_back),
		cmocka_unit_test(test_on_drop_may_free_the_entry_and_change_the_shelf),
		cmocka_unit_test(test_thousands_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
