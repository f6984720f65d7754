/* X-Forwarded-For is a list to which every proxy appends the address of who asked it. The left end is whatever the
 * first client wrote, so the list is read from the right: the peer is known by its connection; if it is one of ours,
 * what it appended is true; if that is one of ours too, what it appended is, and so on. The first one who is not ours
 * is the client, and what stands to the left of it is its own claim and is not read. */
#include "http/forwarded.h"

bool forwarded_trusts(const struct proxies *trusted, const struct address *a)
{
	for (size_t i = 0; i < trusted->n; i++)
		if (address_range_has(&trusted->range[i], a))
			return true;
	return false;
}

/* The list's last part, which is taken off. */
static span take_last(span *list)
{
	size_t at = list->n;
	while (at && list->p[at - 1] != ',')
		at--;
	span last = span_trim(span_from(*list, at));
	list->n = at ? at - 1 : 0;
	return last;
}

/* Goes on through one field. false: the way ends here. */
static bool trace_field(span list, const struct proxies *trusted, struct forwarded_way *way)
{
	do {
		struct address next;
		if (way->hops == FORWARDED_HOPS || !forwarded_trusts(trusted, &way->hop[way->hops - 1])
			|| !address_parse_peer(take_last(&list), &next))
			return false;
		way->hop[way->hops++] = next;
	} while (list.n);
	return true;
}

void forwarded_trace(const struct http_head *head, const struct address *peer, const struct proxies *trusted,
	struct forwarded_way *out)
{
	out->hop[0] = *peer;
	out->hops = 1;
	for (size_t i = head->fields_n; i-- > 0;) {
		const struct http_field *f = &head->fields[i];
		if (span_is_nocase(f->name, "x-forwarded-for") && !trace_field(f->value, trusted, out))
			return;
	}
}

span forwarded_single(const struct http_head *head, const char *name)
{
	span value = headers_get(head, name);
	bool is_single = headers_count(head, name) == 1 && value.n && span_find(value, ',') == value.n;
	return is_single ? value : (span){0};
}
