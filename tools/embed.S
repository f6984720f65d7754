/* The pages, byte for byte, as read-only data of the gateway: web_NAME … web_NAME_end for each file of web/.
 * The assembler finds the files by -Iweb. A zero follows each, outside of it, so that a debugger may print it. */
	.macro	embed name, file
	.balign	16
	.globl	\name
	.globl	\name\()_end
	.type	\name, %object
	.type	\name\()_end, %object
\name:
	.incbin	"\file"
\name\()_end:
	.byte	0
	.size	\name, \name\()_end - \name
	.size	\name\()_end, 1
	.endm

	.section .rodata, "a", %progbits
	embed	web_index_html, "index.html"
	embed	web_page_css, "page.css"
	embed	web_page_js, "page.js"
	embed	web_text_js, "text.js"
	embed	web_words_js, "words.js"
	embed	web_lastword_js, "lastword.js"
	embed	web_admin_html, "admin.html"
	embed	web_admin_css, "admin.css"
	embed	web_admin_js, "admin.js"

/* An object without this note would make the whole program's stack executable. */
	.section .note.GNU-stack, "", %progbits
