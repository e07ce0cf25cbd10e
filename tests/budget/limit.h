/* limit.h - a case in a process of its own whose address space is limited, or where a file is
 * mapped whose resident set is measured: what the budget does not count must not grow with the
 * cloud. */
#ifndef LIMIT_H
#define LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_ARGUMENT "--limited"

/* False under sanitizers, which reserve address space of their own. */
bool limit_possible(void);

/* Runs the case with a budget, in a process that may have no more address space than the
 * budget and a constant; true if it gives the bytes of want, else text says what happened. */
bool limit_run(uint64_t seed, uint64_t number, int64_t budget, const void *want, int64_t bytes,
               char *text, size_t size);

/* What that process does: main of `check_budget --limited SEED CASE BUDGET HASH`. */
int limit_main(int argc, char **argv);

#endif
