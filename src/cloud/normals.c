/* normals.c - see normals.h. Everything runs in the order of the kd-tree, where neighbours are
 * near each other in memory; only the result is in the order of the points. */
#include "normals.h"

#include <math.h>
#include <string.h>

#include "knn.h"
#include "size.h"
#include "sort.h"

enum { GRAPH = 8 }; /* nearest points that are a point's neighbours in the sign graph */

struct work {
  struct pt_env *env;
  struct pt_tree tree;
  enum pt_normal_side side;
  int k, g;         /* neighbours of the plane, of the graph (0: there is none) */
  int32_t *near;    /* [n, g] places of the nearest points, without the point itself */
  int32_t *back;    /* [n, g] who has the point among its nearest; grouped by back_at */
  int32_t *back_at; /* [n + 1] */
  float *normal;    /* [n, 3] in tree order */
  bool *plane;      /* [n] whether the point's neighbours span one */
};

/* ---- planes ---- */

/* One Jacobi rotation that makes m[p][q] zero; v collects the rotations. */
static void jacobi(double m[3][3], double v[3][3], int p, int q) {
  if (m[p][q] == 0) return;
  double theta = (m[q][q] - m[p][p]) / (2 * m[p][q]);
  double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
  double c = 1 / sqrt(t * t + 1), s = t * c;
  for (int i = 0; i < 3; i++) {
    double a = m[i][p], b = m[i][q];
    m[i][p] = c * a - s * b;
    m[i][q] = s * a + c * b;
  }
  for (int i = 0; i < 3; i++) {
    double a = m[p][i], b = m[q][i];
    m[p][i] = c * a - s * b;
    m[q][i] = s * a + c * b;
  }
  for (int i = 0; i < 3; i++) {
    double a = v[i][p], b = v[i][q];
    v[i][p] = c * a - s * b;
    v[i][q] = s * a + c * b;
  }
}

/* The eigenvector of the smallest eigenvalue of a symmetric matrix; (0, 0, 1) where the two
 * smallest do not differ (a line or a point), and false then. */
static bool smallest_axis(double m[3][3], float out[3]) {
  double v[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
  for (int sweep = 0; sweep < 12; sweep++) {
    jacobi(m, v, 0, 1);
    jacobi(m, v, 0, 2);
    jacobi(m, v, 1, 2);
  }
  int low = 0;
  for (int i = 1; i < 3; i++)
    if (m[i][i] < m[low][low]) low = i;
  double most = fmax(m[0][0], fmax(m[1][1], m[2][2]));
  double next = fmin(m[(low + 1) % 3][(low + 1) % 3], m[(low + 2) % 3][(low + 2) % 3]);
  bool plane = next > 1e-10 * most && next > m[low][low];
  for (int a = 0; a < 3; a++) out[a] = plane ? (float)v[a][low] : a == 2;
  return plane;
}

static bool plane_of(const struct pt_tree *t, const int32_t *near, int k, float out[3]) {
  double mean[3] = {0}, m[3][3] = {{0}};
  for (int j = 0; j < k; j++)
    for (int a = 0; a < 3; a++) mean[a] += (double)t->xyz[(int64_t)near[j] * 3 + a] / k;
  for (int j = 0; j < k; j++) {
    double d[3];
    for (int a = 0; a < 3; a++) d[a] = (double)t->xyz[(int64_t)near[j] * 3 + a] - mean[a];
    for (int a = 0; a < 3; a++)
      for (int b = 0; b < 3; b++) m[a][b] += d[a] * d[b];
  }
  return smallest_axis(m, out);
}

static void fit_planes(struct work *w) {
  int64_t n = w->tree.n;
#pragma omp parallel for num_threads(w->env->threads) schedule(dynamic, 1024)
  for (int64_t i = 0; i < n; i++) {
    int32_t near[PT_KNN_MAX];
    pt_tree_nearest(&w->tree, i, w->k, near);
    w->plane[i] = plane_of(&w->tree, near, w->k, w->normal + i * 3);
    for (int j = 0, at = 0; j < w->k && at < w->g; j++)
      if (near[j] != i) w->near[i * w->g + at++] = near[j];
  }
}

/* ---- signs ---- */

/* Groups the edges by the point they lead to. */
static void turn_edges(struct work *w) {
  int64_t n = w->tree.n, g = w->g;
  for (int64_t e = 0; e < n * g; e++) w->back_at[w->near[e] + 1]++;
  for (int64_t i = 0; i < n; i++) w->back_at[i + 1] += w->back_at[i];
  for (int64_t e = n * g - 1; e >= 0; e--) /* back_at[i + 1] runs down to the start of i */
    w->back[--w->back_at[w->near[e] + 1]] = (int32_t)(e / g);
  for (int64_t i = 0; i < n; i++) w->back_at[i] = w->back_at[i + 1];
  w->back_at[n] = (int32_t)(n * g);
}

/* Prim's algorithm: the points next to the tree so far, in a heap by edge weight. */
struct front {
  float *weight;   /* [n] lightest edge to the tree; negative: in the tree */
  int32_t *parent; /* [n] the tree's end of that edge */
  int32_t *heap;   /* [count] */
  int32_t *place;  /* [n] in heap, -1: not there */
  int64_t count;
};

static bool lighter(const struct front *f, int32_t a, int32_t b) {
  return f->weight[a] != f->weight[b] ? f->weight[a] < f->weight[b] : a < b;
}

static void put(struct front *f, int64_t at, int32_t v) {
  f->heap[at] = v;
  f->place[v] = (int32_t)at;
}

static void rise(struct front *f, int32_t v) {
  int64_t at = f->place[v];
  while (at > 0 && lighter(f, v, f->heap[(at - 1) / 2])) {
    put(f, at, f->heap[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  put(f, at, v);
}

static int32_t take_lightest(struct front *f) {
  int32_t top = f->heap[0], v = f->heap[--f->count];
  int64_t at = 0;
  for (;;) {
    int64_t child = 2 * at + 1;
    if (child >= f->count) break;
    if (child + 1 < f->count && lighter(f, f->heap[child + 1], f->heap[child])) child++;
    if (!lighter(f, f->heap[child], v)) break;
    put(f, at, f->heap[child]);
    at = child;
  }
  if (f->count) put(f, at, v);
  f->place[top] = -1;
  return top;
}

static float dot(const float *a, const float *b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Offers the edge from a point of the tree to v. */
static void relax(struct work *w, struct front *f, int32_t from, int32_t v) {
  if (f->weight[v] < 0) return;
  float cosine = fabsf(dot(w->normal + (int64_t)from * 3, w->normal + (int64_t)v * 3));
  float weight = fmaxf(0, 1 - cosine);
  if (f->place[v] >= 0 && weight >= f->weight[v]) return;
  f->weight[v] = weight;
  f->parent[v] = from;
  if (f->place[v] < 0) f->place[v] = (int32_t)f->count++;
  rise(f, v);
}

static void flip(float *n) {
  for (int a = 0; a < 3; a++) n[a] = -n[a];
}

/* Signs of one connected piece from its root. */
static void spread_signs(struct work *w, struct front *f, int32_t root) {
  if (w->normal[(int64_t)root * 3 + 2] < 0) flip(w->normal + (int64_t)root * 3);
  for (int32_t v = root;; v = take_lightest(f)) {
    float *here = w->normal + (int64_t)v * 3;
    if (v != root && dot(here, w->normal + (int64_t)f->parent[v] * 3) < 0) flip(here);
    f->weight[v] = -1;
    for (int j = 0; j < w->g; j++) relax(w, f, v, w->near[(int64_t)v * w->g + j]);
    for (int32_t e = w->back_at[v]; e < w->back_at[v + 1]; e++) relax(w, f, v, w->back[e]);
    if (!f->count) return;
  }
}

/* Key that sorts places from the highest coordinate down. */
static uint64_t falling(float z) {
  uint32_t u;
  memcpy(&u, &z, sizeof u);
  u = u >> 31 ? ~u : u | 0x80000000u; /* ascending */
  return ~u;
}

/* order[n] becomes the places from the highest coordinate of an axis down. */
static int sort_places(struct work *w, int axis, int32_t *order, struct ptv3_error *err) {
  struct pt_mem *mem = &w->env->mem;
  int64_t n = w->tree.n;
  uint64_t *key = pt_alloc(mem, n, sizeof *key, PT_MEM_CLOUD, err);
  int st = key ? PTV3_OK : pt_status(err);
  for (int64_t i = 0; !st && i < n; i++) key[i] = falling(w->tree.xyz[i * 3 + axis]);
  if (!st) st = pt_sort64(w->env, key, order, n, err);
  pt_free(mem, key);
  return st;
}

static int orient_up(struct work *w, struct ptv3_error *err) {
  struct pt_mem *mem = &w->env->mem;
  int64_t n = w->tree.n;
  struct front f = {0};
  int32_t *top = pt_alloc(mem, n, sizeof *top, PT_MEM_CLOUD, err);
  int st = top ? sort_places(w, 2, top, err) : pt_status(err);
  if (!st && !(f.weight = pt_zalloc(mem, n, sizeof *f.weight, PT_MEM_CLOUD, err)))
    st = pt_status(err);
  if (!st && !(f.parent = pt_alloc(mem, n, 3 * sizeof *f.parent, PT_MEM_CLOUD, err)))
    st = pt_status(err);
  if (!st) {
    f.heap = f.parent + n;
    f.place = f.heap + n;
    memset(f.place, 0xff, (size_t)n * sizeof *f.place);
    for (int64_t i = 0; i < n; i++)
      if (f.weight[top[i]] >= 0) spread_signs(w, &f, top[i]);
  }
  pt_free(mem, f.weight);
  pt_free(mem, f.parent);
  pt_free(mem, top);
  return st;
}

/* Half way between the coordinates that 1 % and 99 % of the points lie below. */
static int find_middle(struct work *w, float middle[3], struct ptv3_error *err) {
  int64_t n = w->tree.n, from = (n - 1) / 100;
  int32_t *order = pt_alloc(&w->env->mem, n, sizeof *order, PT_MEM_CLOUD, err);
  int st = order ? PTV3_OK : pt_status(err);
  for (int a = 0; !st && a < 3; a++) {
    st = sort_places(w, a, order, err);
    if (st) break;
    float high = w->tree.xyz[(int64_t)order[from] * 3 + a];
    float low = w->tree.xyz[(int64_t)order[n - 1 - from] * 3 + a];
    middle[a] = high / 2 + low / 2;
  }
  pt_free(&w->env->mem, order);
  return st;
}

static int orient_inside(struct work *w, struct ptv3_error *err) {
  float middle[3], to[3];
  int st = find_middle(w, middle, err);
  for (int64_t i = 0; !st && i < w->tree.n; i++) {
    if (!w->plane[i]) continue;
    for (int a = 0; a < 3; a++) to[a] = middle[a] - w->tree.xyz[i * 3 + a];
    if (dot(w->normal + i * 3, to) < 0) flip(w->normal + i * 3);
  }
  return st;
}

/* ---- all of it ---- */

static int room_up(struct work *w, struct ptv3_error *err) {
  struct pt_mem *mem = &w->env->mem;
  int64_t n = w->tree.n, g = pt_max(w->g, 1) * (int64_t)sizeof(int32_t);
  if (!(w->near = pt_alloc(mem, n, g, PT_MEM_CLOUD, err)) ||
      !(w->back = pt_alloc(mem, n, g, PT_MEM_CLOUD, err)) ||
      !(w->back_at = pt_zalloc(mem, n + 1, sizeof *w->back_at, PT_MEM_CLOUD, err)))
    return pt_status(err);
  return PTV3_OK;
}

static int room(struct work *w, struct ptv3_error *err) {
  struct pt_mem *mem = &w->env->mem;
  w->normal = pt_alloc(mem, w->tree.n, 3 * sizeof *w->normal, PT_MEM_CLOUD, err);
  if (w->normal) w->plane = pt_alloc(mem, w->tree.n, sizeof *w->plane, PT_MEM_CLOUD, err);
  if (!w->plane) return pt_status(err);
  return w->side == PT_NORMAL_UP ? room_up(w, err) : PTV3_OK;
}

static int build_tree(struct work *w, struct pt_cloud *c, struct ptv3_error *err) {
  struct pt_channel *coord = pt_cloud_need(c, "coord", "estimating normals", err);
  if (!coord) return pt_status(err);
  if (coord->type == PT_F32) return pt_tree_build(&w->tree, w->env, coord->data, c->n, err);
  float *as_float = pt_alloc(c->mem, c->n, 3 * sizeof *as_float, PT_MEM_CLOUD, err);
  if (!as_float) return pt_status(err);
  for (int64_t i = 0; i < c->n * 3; i++)
    as_float[i] = (float)pt_channel_at(coord, i / 3, (int)(i % 3));
  int st = pt_tree_build(&w->tree, w->env, as_float, c->n, err);
  pt_free(c->mem, as_float);
  return st;
}

static int orient(struct work *w, struct ptv3_error *err) {
  if (w->side == PT_NORMAL_INSIDE) return orient_inside(w, err);
  turn_edges(w);
  return orient_up(w, err);
}

static int check_size(int64_t n, int k, struct ptv3_error *err) {
  if (k < 3 || k > PT_KNN_MAX)
    return pt_fail(err, PTV3_INVALID, "%d neighbours for normals; 3 to %d will do", k,
                   PT_KNN_MAX);
  if (n > INT32_MAX / GRAPH)
    return pt_fail(err, PTV3_UNSUPPORTED, "normals of %lld points; at most %d at once",
                   (long long)n, INT32_MAX / GRAPH);
  return PTV3_OK;
}

static void free_work(struct work *w) {
  struct pt_mem *mem = &w->env->mem;
  pt_free(mem, w->normal);
  pt_free(mem, w->plane);
  pt_free(mem, w->near);
  pt_free(mem, w->back);
  pt_free(mem, w->back_at);
  pt_tree_free(&w->tree);
}

int pt_estimate_normals(struct pt_env *env, struct pt_cloud *c, int k, enum pt_normal_side side,
                        struct ptv3_error *err) {
  struct work w = {.env = env, .side = side, .k = (int)pt_min(k, c->n)};
  w.g = side == PT_NORMAL_UP ? (int)pt_min(GRAPH, w.k - 1) : 0;
  int st = check_size(c->n, k, err);
  if (!st) st = build_tree(&w, c, err);
  if (!st) st = room(&w, err);
  if (!st) {
    fit_planes(&w);
    st = orient(&w, err);
  }
  struct pt_channel *out = st ? NULL : pt_cloud_add(c, "normal", PT_F32, 3, err);
  if (!st && !out) st = pt_status(err);
  for (int64_t i = 0; !st && i < c->n; i++)
    memcpy((float *)out->data + (int64_t)w.tree.order[i] * 3, w.normal + i * 3, 12);
  free_work(&w);
  return st;
}
