/* lzf.h - decompression of LZF (Marc Lehmann's LibLZF), as PCD files use it. */
#ifndef PT_LZF_H
#define PT_LZF_H

#include <stdint.h>

/* The most bytes that n compressed ones can become: three give 264. */
int64_t pt_lzf_most(int64_t n);

/* Fills dst, [out] bytes, from src, [in] bytes. Returns -1 when both end together, else the
 * offset in src of the first byte that cannot be right. */
int64_t pt_lzf(const uint8_t *src, int64_t in, uint8_t *dst, int64_t out);

#endif
