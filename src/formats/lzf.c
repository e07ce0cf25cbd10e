/* lzf.c - see lzf.h. The stream is a row of items: a byte below 32 is followed by that many
 * literals and one more; any other has a length in its upper three bits (7: more in the next
 * byte) and, with the byte behind, a distance back of up to 8 KiB. */
#include "lzf.h"

#include <string.h>

int64_t pt_lzf_most(int64_t n) { return n > INT64_MAX / 88 ? INT64_MAX : n * 88; }

int64_t pt_lzf(const uint8_t *src, int64_t in, uint8_t *dst, int64_t out) {
  int64_t i = 0, o = 0;
  while (i < in) {
    int64_t item = i, control = src[i++];
    if (control < 32) {
      int64_t n = control + 1;
      if (n > in - i || n > out - o) return item;
      memcpy(dst + o, src + i, (size_t)n);
      i += n;
      o += n;
      continue;
    }
    int64_t n = control >> 5;
    if (n == 7) {
      if (i >= in) return item;
      n += src[i++];
    }
    if (i >= in) return item;
    int64_t back = ((control & 31) << 8 | src[i++]) + 1;
    n += 2;
    if (back > o || n > out - o) return item;
    for (const uint8_t *from = dst + o - back; n > 0; n--) dst[o++] = *from++; /* may overlap */
  }
  return o == out ? -1 : in;
}
