/* `lastword check URL`: asks an upstream one question as a browser route would, looks at the end of the answer, and
 * says what to configure. */
#ifndef GATEWAY_PROBE_H
#define GATEWAY_PROBE_H

/* argv without the program's name: "check", "URL", … Returns the exit status: 0 the answer's end is proved, 1 it
 * failed or nothing proves its end, 2 a wrong command line. */
int probe_main(char **argv);

#endif
