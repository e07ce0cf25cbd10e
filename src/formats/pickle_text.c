/* pickle_text.c - the text escapes of pickle protocol 0; see pickle.h. */
#include <string.h>

#include "pickle.h"

static char *put_utf8(char *o, uint32_t u) {
  if (u < 0x80) {
    *o++ = (char)u;
    return o;
  }
  int tail = u < 0x800 ? 1 : u < 0x10000 ? 2 : 3;
  *o++ = (char)((0xff00 >> (tail + 1) & 0xff) | u >> 6 * tail);
  while (tail--) *o++ = (char)(0x80 | (u >> 6 * tail & 0x3f));
  return o;
}

/* The value of up to `want` hexadecimal digits at s; false if there are fewer. */
static bool hex(const char *s, const char *end, int want, uint32_t *v) {
  *v = 0;
  for (int i = 0; i < want; i++) {
    if (s + i >= end) return false;
    int d = s[i] >= '0' && s[i] <= '9'   ? s[i] - '0'
            : s[i] >= 'a' && s[i] <= 'f' ? s[i] - 'a' + 10
            : s[i] >= 'A' && s[i] <= 'F' ? s[i] - 'A' + 10
                                         : -1;
    if (d < 0) return false;
    *v = *v << 4 | (uint32_t)d;
  }
  return *v < 0x110000;
}

char *pt_pickle_unescape(const char *s, const char *end, bool unicode, char *o) {
  while (s < end) {
    uint32_t u;
    if (*s != '\\' || s + 1 == end) {
      o = unicode ? put_utf8(o, (unsigned char)*s) : (*o = *s, o + 1);
      s++;
    } else if (unicode) {
      int want = s[1] == 'u' ? 4 : s[1] == 'U' ? 8 : 0;
      bool ok = want && hex(s + 2, end, want, &u);
      o = ok ? put_utf8(o, u) : (*o = *s, o + 1);
      s += ok ? 2 + want : 1;
    } else if (s[1] == 'x' && hex(s + 2, end, 2, &u)) {
      *o++ = (char)u;
      s += 4;
    } else {
      static const char from[] = "ntr\\'\"", to[] = "\n\t\r\\'\"";
      const char *k = memchr(from, s[1], 6);
      if (!k) *o++ = *s;
      *o++ = k ? to[k - from] : s[1];
      s += 2;
    }
  }
  return o;
}
