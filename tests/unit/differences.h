/* differences.h - gradients of reference kernels against differences of a number that depends
 * on their inputs. */
#ifndef TEST_DIFFERENCES_H
#define TEST_DIFFERENCES_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* The slope of f by number x[0], from four points; `step` apart. */
static inline double slope_by(float *x, double (*f)(void *), void *user, float step) {
  const float here = *x, at[4] = {here - 2 * step, here - step, here + step, here + 2 * step};
  double y[4];
  for (int i = 0; i < 4; i++) {
    *x = at[i];
    y[i] = f(user);
  }
  *x = here;
  return (8 * (y[2] - y[1]) - (y[3] - y[0])) /
         (8 * ((double)at[2] - (double)at[1]) - ((double)at[3] - (double)at[0]));
}

/* grad [n] is the gradient of f by x [n], within tol times its largest number (or 1). */
static inline void check_slopes(const char *name, float *x, const float *grad, int64_t n,
                                double (*f)(void *), void *user, float step, double tol) {
  double most = 1.0;
  for (int64_t i = 0; i < n; i++) most = fmax(most, fabs((double)grad[i]));
  for (int64_t i = 0; i < n; i++) {
    const double want = slope_by(x + i, f, user, step);
    if (!(fabs(want - (double)grad[i]) <= tol * most))
      fail_msg("%s[%lld]: gradient %.7g, by differences %.7g", name, (long long)i,
               (double)grad[i], want);
  }
}

#endif
