/* number.h - decimal numbers in text, whatever the locale. Correctly rounded; numbers of up
 * to 19 digits and common exponents take no detour. */
#ifndef PT_NUMBER_H
#define PT_NUMBER_H

#include "dtype.h"

/* The number that begins at p, within [p, end); nan, inf and infinity in any case count.
 * Returns the byte behind it, NULL if there is none. What may follow is the caller's. */
const char *pt_number(const char *p, const char *end, double *v);

/* The same, stored as element i of dst, [] of type (not F16, BF16). NULL too when the
 * number is not one that an integer type can hold exactly. */
const char *pt_number_store(const char *p, const char *end, void *dst, enum pt_dtype type,
                            int64_t i);

/* A count in a header: decimal digits only, the whole of [p, end); -1 if it is not one. */
int64_t pt_number_count(const char *p, const char *end);

/* The bytes [p, end) for a message: cut to fit, other than printable ASCII as \xNN. */
const char *pt_number_quote(const char *p, const char *end, char out[static 48]);

#endif
