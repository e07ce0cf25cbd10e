/* number.c - see number.h.
 *
 * A decimal is read as w * 10^e with w < 2^64. If w < 2^53 and |e| <= 22 both are exact
 * doubles and one operation rounds once (Clinger, "How to read floating point numbers
 * accurately", PLDI 1990). If |e| <= 27, 5^|e| fits 63 bits and the quotient or product is
 * formed in 128 bits and rounded once. The rest goes to the C library in the C locale. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strtod_l */
#endif
#include "number.h"

#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

#include "size.h"

typedef unsigned __int128 u128;

/* q * 2^exp2 rounded to nearest even; sticky: q has been cut, a little is missing. q has
 * 54 bits at least or is exact, and the result is far from the ends of double's range. */
static double round128(u128 q, bool sticky, int exp2) {
  uint64_t high = (uint64_t)(q >> 64), low = (uint64_t)q;
  int bits = high ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll(low | 1);
  int shift = bits - 53;
  if (shift <= 0) return ldexp((double)low, exp2);
  uint64_t m = (uint64_t)(q >> shift);
  u128 rest = q & (((u128)1 << shift) - 1), half = (u128)1 << (shift - 1);
  if (rest > half || (rest == half && (sticky || (m & 1)))) m++;
  uint64_t u = (uint64_t)(exp2 + shift + 1075) << 52; /* the exponent of m = 2^52 */
  u += m - (UINT64_C(1) << 52); /* m = 2^53 carries into the exponent, as it should */
  double d;
  memcpy(&d, &u, sizeof d);
  return d;
}

/* w * 10^e, -27 <= e <= 27, w > 0. */
static double scale(uint64_t w, int e) {
  uint64_t five = 1;
  static const uint64_t power[] = {5, 25, 625, 390625, UINT64_C(152587890625)}; /* 5^2^k */
  for (int i = e < 0 ? -e : e, k = 0; i; i >>= 1, k++)
    if (i & 1) five *= power[k];
  if (e >= 0) return round128((u128)w * five, false, e);
  int lz = __builtin_clzll(w);
  u128 numerator = (u128)(w << lz) << 64, q = numerator / five;
  return round128(q, q * five != numerator, e - 64 - lz);
}

static double slow(const char *p, const char *end, bool *ok) {
  char buf[1200]; /* more digits than any double needs to be told from its neighbours */
  *ok = end - p < (int64_t)sizeof buf;
  if (!*ok) return 0;
  memcpy(buf, p, (size_t)(end - p));
  buf[end - p] = 0;
  locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  *ok = c != (locale_t)0;
  if (!*ok) return 0;
  double v = strtod_l(buf, NULL, c);
  freelocale(c);
  return v;
}

static bool starts(const char *p, const char *end, const char *word) {
  for (; *word; p++, word++)
    if (p >= end || (*p | 32) != *word) return false;
  return true;
}

/* nan, inf, infinity; p is behind the sign. */
static const char *special(const char *p, const char *end, bool negative, double *v) {
  double x = NAN;
  if (starts(p, end, "infinity")) {
    x = INFINITY;
    p += 8;
  } else if (starts(p, end, "inf")) {
    x = INFINITY;
    p += 3;
  } else if (starts(p, end, "nan")) {
    p += 3;
  } else {
    return NULL;
  }
  *v = negative ? -x : x;
  return p;
}

struct decimal {
  uint64_t w; /* the first 19 significant digits */
  int64_t e;  /* the value is w * 10^e */
  int significant;
  bool any, cut; /* a digit was seen; digits other than 0 were left out */
};

static inline const char *digits(struct decimal *d, const char *p, const char *end, int point) {
  for (; p < end; p++) {
    unsigned c = (unsigned)*p - '0';
    if (c > 9) break;
    d->any = true;
    if (d->significant < 19) {
      d->w = d->w * 10 + c;
      d->significant += d->w != 0;
      d->e -= point;
    } else {
      d->cut |= c != 0;
      d->e += 1 - point;
    }
  }
  return p;
}

/* An exponent at p if there is one; p if not. */
static const char *exponent(struct decimal *d, const char *p, const char *end) {
  const char *q = p + 1;
  bool negative = q < end && *q == '-';
  if (q < end && (*q == '-' || *q == '+')) q++;
  if (q >= end || (unsigned)*q - '0' > 9) return p;
  int64_t e = 0;
  for (; q < end && (unsigned)*q - '0' <= 9; q++)
    if (e < 100000) e = e * 10 + (*q - '0');
  d->e += negative ? -e : e;
  return q;
}

const char *pt_number(const char *p, const char *end, double *v) {
  static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                               1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                               1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  const char *start = p;
  struct decimal d = {0};
  if (p >= end) return NULL;
  bool negative = *p == '-';
  if (*p == '-' || *p == '+') p++;
  p = digits(&d, p, end, 0);
  if (p < end && *p == '.') p = digits(&d, p + 1, end, 1);
  if (!d.any)
    return p == start + (negative || *start == '+') ? special(p, end, negative, v) : NULL;
  if (p < end && (*p | 32) == 'e') p = exponent(&d, p, end);
  double x;
  bool ok = true;
  if (d.w == 0)
    x = 0;
  else if (!d.cut && d.w <= UINT64_C(1) << 53 && d.e >= -22 && d.e <= 22)
    x = d.e < 0 ? (double)d.w / ten[-d.e] : (double)d.w * ten[d.e];
  else if (!d.cut && d.e >= -27 && d.e <= 27)
    x = scale(d.w, (int)d.e);
  else
    return *v = slow(start, p, &ok), ok ? p : NULL;
  *v = negative ? -x : x;
  return p;
}

/* The largest and smallest values of an integer type. */
static void range(enum pt_dtype t, int64_t *low, uint64_t *high) {
  int bits = (int)pt_dtype(t)->bytes * 8;
  bool is_signed = t == PT_I8 || t == PT_I16 || t == PT_I32 || t == PT_I64;
  *high = UINT64_MAX >> (64 - bits + is_signed);
  *low = is_signed ? -(int64_t)*high - 1 : 0;
  if (t == PT_BOOL) *high = 1;
}

/* A number with a point or an exponent where an integer belongs: 255.0 is 255. */
static const char *whole(const char *p, const char *end, int64_t low, uint64_t high,
                         int64_t *v) {
  double d;
  const char *q = pt_number(p, end, &d);
  if (!q || !(d == rint(d)) || d < (double)low || d > (double)high || fabs(d) > 0x1p53)
    return NULL;
  *v = (int64_t)d;
  return q;
}

static const char *integer(const char *p, const char *end, enum pt_dtype t, int64_t *v) {
  const char *start = p;
  int64_t low;
  uint64_t high, u = 0;
  range(t, &low, &high);
  bool negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) p++;
  const char *first = p;
  for (; p < end && (unsigned)*p - '0' <= 9; p++)
    if (__builtin_mul_overflow(u, 10, &u) ||
        __builtin_add_overflow(u, (uint64_t)(*p - '0'), &u))
      return NULL;
  if (p < end && (*p == '.' || (*p | 32) == 'e')) return whole(start, end, low, high, v);
  if (p == first || (negative ? u > 0 - (uint64_t)low : u > high)) return NULL;
  *v = (int64_t)(negative ? 0 - u : u);
  return p;
}

const char *pt_number_store(const char *p, const char *end, void *dst, enum pt_dtype type,
                            int64_t i) {
  int64_t v = 0;
  double d;
  if (type == PT_F64 || type == PT_F32) {
    p = pt_number(p, end, &d);
    if (p && type == PT_F64) ((double *)dst)[i] = d;
    if (p && type == PT_F32) ((float *)dst)[i] = (float)d;
    return p;
  }
  p = integer(p, end, type, &v);
  if (!p) return NULL;
  switch (pt_dtype(type)->bytes) {
    case 1: ((uint8_t *)dst)[i] = (uint8_t)v; break;
    case 2: ((uint16_t *)dst)[i] = (uint16_t)v; break;
    case 4: ((uint32_t *)dst)[i] = (uint32_t)v; break;
    default: ((uint64_t *)dst)[i] = (uint64_t)v; break;
  }
  return p;
}

int64_t pt_number_count(const char *p, const char *end) {
  int64_t v = 0;
  if (p >= end) return -1;
  for (; p < end; p++)
    if ((unsigned)*p - '0' > 9 || !pt_mul(v, 10, &v) || !pt_add(v, *p - '0', &v)) return -1;
  return v;
}

const char *pt_number_quote(const char *p, const char *end, char out[static 48]) {
  int n = 0;
  for (; p < end && n < 40; p++) {
    bool plain = *p >= 32 && *p < 127;
    n += snprintf(out + n, 48 - (size_t)n, plain ? "%c" : "\\x%02x", (unsigned char)*p);
  }
  if (p < end) snprintf(out + n, 48 - (size_t)n, "...");
  out[n + (p < end ? 3 : 0)] = 0;
  return out;
}
