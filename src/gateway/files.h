/* Files that are embedded in the binary (tools/embed.S), and how any site serves them. */
#ifndef GATEWAY_FILES_H
#define GATEWAY_FILES_H

#include "server/exchange.h"

struct file {
	const char *path, *type;
	const char *from, *to; /* its bytes; `to` is behind the last one */
};

#define FILE_HTML "text/html; charset=utf-8"
#define FILE_CSS "text/css; charset=utf-8"
#define FILE_SCRIPT "text/javascript; charset=utf-8"

/* The files that sites share. */
extern const char web_page_css[], web_page_css_end[];

/* The file of that path, or NULL. */
const struct file *files_find(const struct file *list, size_t n, span path);

/* Answers a GET or HEAD: 200, or 304 to who has it already. */
void files_answer(struct exchange *x, const struct file *f);

#endif
