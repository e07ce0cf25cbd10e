/* pyconfig.c - configuration files in: text checked, {{ fileDirname }} and its like put in,
 * bases followed, everything merged. See pyconfig.h; the language is in pyconfig_*.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "pyconfig.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "pyconfig_int.h"
#include "size.h"

/* A file being read, and the one that names it as its base. */
struct source {
  const char *path; /* as messages show it; in the kept region */
  const struct source *child;
  bool bases; /* may be followed */
};

static struct pt_value *load_file(struct pt_py *py, const struct source *src);

/* ---- paths ---- */

/* path without "//", "." and "x/..", in region, as Python's normpath does. */
static char *normal_path(struct pt_region *region, const char *path, struct ptv3_error *err) {
  size_t n = 0;
  char *out = pt_region_take(region, (int64_t)strlen(path) + 2, err);
  if (!out) return NULL;
  bool root = path[0] == '/';
  if (root) out[n++] = '/';
  size_t first = n; /* what ".." may not take away */
  for (const char *p = path; *p;) {
    size_t len = strcspn(p, "/");
    bool up = len == 2 && p[0] == '.' && p[1] == '.';
    if (up && n > first) {
      while (n > first && out[n - 1] != '/') n--;
      if (n > first) n--;
    } else if (up && !root) {
      if (n) out[n++] = '/';
      out[n++] = '.', out[n++] = '.';
      first = n;
    } else if (len > 0 && !up && !(len == 1 && p[0] == '.')) {
      if (n && out[n - 1] != '/') out[n++] = '/';
      memcpy(out + n, p, len);
      n += len;
    }
    p += len + (p[len] == '/');
  }
  if (n == 0) out[n++] = '.';
  out[n] = 0;
  return out;
}

/* name beside path, normalised, in the kept region. */
static char *beside(struct pt_py *py, const char *path, const char *name) {
  const char *slash = strrchr(path, '/');
  size_t dir = slash && name[0] != '/' ? (size_t)(slash - path) + 1 : 0, n = strlen(name);
  char *both = pt_region_take(&py->region, (int64_t)(dir + n + 1), py->err);
  if (!both) return NULL;
  memcpy(both, path, dir);
  memcpy(both + dir, name, n);
  return normal_path(py->keep, both, py->err);
}

/* path from the root, in region. */
static char *absolute(struct pt_py *py, const char *path) {
  char here[PATH_MAX];
  if (path[0] == '/') return normal_path(&py->region, path, py->err);
  if (!getcwd(here, sizeof here)) {
    pt_fail(py->err, PTV3_IO, "cannot tell the current folder: %s", strerror(errno));
    return NULL;
  }
  size_t a = strlen(here), b = strlen(path);
  char *both = pt_region_take(&py->region, (int64_t)(a + b + 2), py->err);
  if (!both) return NULL;
  snprintf(both, a + b + 2, "%s/%s", here, path);
  return normal_path(&py->region, both, py->err);
}

/* ---- text ---- */

/* The bytes of the UTF-8 character at s [n], 0 if there is none (or NUL). */
static int64_t utf8_char(const unsigned char *s, int64_t n) {
  static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
  uint32_t c = s[0];
  if (c < 0x80) return c ? 1 : 0;
  int more = c >= 0xf0 && c < 0xf8 ? 3 : c >= 0xe0 ? 2 : 1;
  if (c < 0xc0 || c >= 0xf8 || more >= n) return 0;
  c &= 0x3fu >> more;
  for (int i = 1; i <= more; i++) {
    if ((s[i] & 0xc0) != 0x80) return 0;
    c = c << 6 | (s[i] & 0x3fu);
  }
  if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
  return more + 1;
}

static int check_text(struct pt_py *py, const char *s, int64_t n, const char *name) {
  int64_t i = 0, step;
  if (n > PT_PY_FILE_MAX)
    return pt_fail(py->err, PTV3_UNSUPPORTED,
                   "'%s' has %lld bytes, a configuration file has at most %d", name,
                   (long long)n, PT_PY_FILE_MAX);
  while (i < n && (step = utf8_char((const unsigned char *)s + i, n - i))) i += step;
  if (i == n) return PTV3_OK;
  return pt_fail_at(py->err, PTV3_FORMAT, i,
                    "'%s' is not a text file: byte %lld is not UTF-8 (or NUL)", name,
                    (long long)i);
}

/* The length of "{{ word }}" at s [n], 0 if it is not there. */
static int64_t template_at(const char *s, int64_t n, const char *word) {
  int64_t i = 2, len = (int64_t)strlen(word);
  if (n < 4 || s[0] != '{' || s[1] != '{') return 0;
  while (i < n && strchr(" \t\r\n\f\v", s[i])) i++;
  if (n - i < len || memcmp(s + i, word, (size_t)len) != 0) return 0;
  i += len;
  while (i < n && strchr(" \t\r\n\f\v", s[i])) i++;
  return n - i >= 2 && s[i] == '}' && s[i + 1] == '}' ? i + 2 : 0;
}

struct template {
  const char *word;
  const char *value; /* [n] */
  int64_t n;
};

/* The values of the predefined variables of a file. */
static bool templates(struct pt_py *py, const char *path, struct template t[static 4]) {
  const char *full = absolute(py, path);
  if (!full) return false;
  const char *slash = strrchr(full, '/'), *base = slash ? slash + 1 : full;
  const char *dot = strrchr(base, '.'), *end = base + strlen(base);
  if (!dot || dot == base) dot = end;
  int64_t dir = slash == full ? 1 : slash - full;
  t[0] = (struct template){"fileDirname", full, dir};
  t[1] = (struct template){"fileBasename", base, end - base};
  t[2] = (struct template){"fileBasenameNoExtension", base, dot - base};
  t[3] = (struct template){"fileExtname", dot, end - dot};
  return true;
}

/* Replaces the predefined variables of the text by their values, in one pass. */
static int substitute(struct pt_py *py, const char *path, const char **text, int64_t *n) {
  struct template t[4];
  const char *s = *text;
  int64_t used = 0, uses = 0, longest = 0, k = 0, at = 0;
  for (int64_t i = 0; i + 6 < *n; i++)
    if (s[i] == '{' && s[i + 1] == '{' && memchr(s + i, 'f', (size_t)pt_min(*n - i, 64)))
      uses++;
  if (!uses) return PTV3_OK;
  if (!templates(py, path, t)) return py->err->status;
  for (int j = 0; j < 4; j++) longest = pt_max(longest, t[j].n);
  if (*n + uses * longest > 4 * PT_PY_FILE_MAX)
    return pt_fail(py->err, PTV3_UNSUPPORTED, "'%s': too many {{ file... }} variables", path);
  char *out = pt_region_take(&py->region, *n + uses * longest, py->err);
  if (!out) return py->err->status;
  for (int64_t i = 0; i < *n; i += used) {
    for (int j = 0; j < 4; j++)
      if ((used = template_at(s + i, *n - i, t[j].word))) {
        at = j;
        break;
      }
    const char *from = used ? t[at].value : s + i;
    int64_t len = used ? t[at].n : 1;
    used = used ? used : 1;
    memcpy(out + k, from, (size_t)len);
    k += len;
  }
  *text = out;
  *n = k;
  return PTV3_OK;
}

/* ---- one file ---- */

/* Runs the text; its names become the entries of *globals. */
static int run_text(struct pt_py *py, const char *text, int64_t n, const char *path,
                    struct pt_value **globals) {
  struct pt_token *tokens;
  struct pt_node *statements = NULL;
  struct pt_pos at = {path, 1, 1};
  int status = check_text(py, text, n, path);
  if (!status) status = substitute(py, path, &text, &n);
  if (!status && n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3, n -= 3;
  if (!status) status = pt_py_lex(py, text, n, at, false, &tokens, NULL);
  if (!status) status = pt_py_parse(py, tokens, &statements);
  if (status) return status;
  *globals = pt_py_new(py, PT_V_DICT, &at);
  return *globals ? pt_py_exec(py, statements, *globals) : py->err->status;
}

/* Drops names that begin with "__", and _deprecation_ with a warning. */
static int drop_names(struct pt_py *py, struct pt_value *globals, const char *path) {
  for (int64_t i = 0; i < globals->n;) {
    struct pt_entry *e = &globals->entry[i];
    bool deprecated = strcmp(e->key->str, "_deprecation_") == 0;
    if (!deprecated && strncmp(e->key->str, "__", 2) != 0) {
      i++;
      continue;
    }
    if (deprecated) pt_warn(py->env, "%s is marked as deprecated (_deprecation_)", path);
    if (!pt_py_charge(py, globals->n, &e->at)) return py->err->status;
    pt_dict_remove(globals, e);
  }
  return PTV3_OK;
}

/* Loads one base and adds its keys to all; a key that is there already is an error. */
static int add_base(struct pt_py *py, const struct source *src, const struct pt_value *name,
                    struct pt_value *all) {
  struct source base = {NULL, src, true};
  int depth = 0;
  if (name->kind != PT_V_STR || strlen(name->str) != (size_t)name->n || !name->n) {
    pt_py_fail(py, &name->at, "_base_ must be a file name or a list of file names");
    return py->err->status;
  }
  base.path = beside(py, src->path, name->str);
  if (!base.path) return py->err->status;
  for (const struct source *s = src; s; s = s->child, depth++)
    if (depth >= PT_PY_BASE_MAX || strcmp(s->path, base.path) == 0) {
      pt_py_fail(py, &name->at, "_base_ '%.200s' leads back to itself or too deep", base.path);
      return py->err->status;
    }
  const struct pt_value *tree = load_file(py, &base);
  if (!tree) {
    if (py->err->status == PTV3_IO)
      pt_prefix(py->err, "%s:%d: _base_", src->path, name->at.line);
    return py->err->status;
  }
  for (int64_t i = 0; i < tree->n; i++) {
    const struct pt_entry *e = &tree->entry[i], *old = pt_dict_find(all, e->key);
    if (old) {
      pt_py_fail(py, &name->at, "two bases set '%.60s': %s:%d and %s:%d", e->key->str,
                 old->at.file, old->at.line, e->at.file, e->at.line);
      return py->err->status;
    }
    int status = pt_dict_put(&py->region, all, e->key, e->value, &e->at, py->err);
    if (status) return status;
    all->entry[all->n - 1].read = e->read;
  }
  return PTV3_OK;
}

/* What the globals of a file and the bases it names make together. */
static struct pt_value *with_bases(struct pt_py *py, const struct source *src,
                                   struct pt_value *globals) {
  struct pt_entry *e = pt_dict_find_str(globals, "_base_", 6);
  if (!e) return pt_py_copy(py, &py->region, globals, NULL);
  struct pt_value *bases = e->value, *all = pt_py_new(py, PT_V_DICT, &globals->at);
  bool list = bases->kind == PT_V_LIST;
  if (!src->bases)
    return pt_py_fail(py, &e->at, "_base_ in a text that is not a file has nowhere to look");
  pt_dict_remove(globals, e);
  for (int64_t i = 0; all && i < (list ? bases->n : 1); i++)
    if (add_base(py, src, list ? bases->item[i] : bases, all)) return NULL;
  struct pt_value *mine = all ? pt_py_copy(py, &py->region, globals, all) : NULL;
  return mine && !pt_py_merge(py, mine, all, false) ? all : NULL;
}

static struct pt_value *load_text(struct pt_py *py, const char *text, int64_t n,
                                  const struct source *src) {
  struct pt_value *globals = NULL;
  if (run_text(py, text, n, src->path, &globals)) return NULL;
  if (drop_names(py, globals, src->path)) return NULL;
  return with_bases(py, src, globals);
}

static struct pt_value *load_file(struct pt_py *py, const struct source *src) {
  struct pt_map map = {0};
  char ext[16];
  struct pt_value *tree = NULL;
  pt_extension(src->path, ext);
  if (strcmp(ext, "py") != 0)
    pt_fail(py->err, PTV3_UNSUPPORTED, "'%s': a configuration is a .py file", src->path);
  else if (!pt_map_open(&map, src->path, py->err))
    tree = load_text(py, (const char *)map.data, map.size, src);
  pt_map_close(&map);
  return tree;
}

/* ---- the whole ---- */

/* What Config refuses or acts on at the top level. */
static int check_root(struct pt_py *py, const struct pt_value *root) {
  static const char *const reserved[] = {"filename", "text", "pretty_text"};
  for (int i = 0; i < 3; i++) {
    const struct pt_entry *e =
        pt_dict_find_str(root, reserved[i], (int64_t)strlen(reserved[i]));
    if (!e) continue;
    pt_py_fail(py, &e->at, "the key '%s' is reserved", reserved[i]);
    return py->err->status;
  }
  const struct pt_entry *e = pt_dict_find_str(root, "custom_imports", 14);
  if (e && pt_py_true(e->value))
    pt_warn(py->env, "%s:%d: custom_imports is not followed: no Python is run", e->at.file,
            e->at.line);
  return PTV3_OK;
}

static struct pt_value *load(struct pt_py *py, const char *text, int64_t n, const char *path,
                             const char *const *options, int64_t n_options) {
  int64_t len = (int64_t)strlen(path);
  char *name = pt_region_take(py->keep, len + 1, py->err);
  if (!name) return NULL;
  memcpy(name, path, (size_t)len);
  struct source src = {name, NULL, !text};
  struct pt_value *root = text ? load_text(py, text, n, &src) : load_file(py, &src);
  if (!root || check_root(py, root)) return NULL;
  if (n_options > 0 && pt_py_options(py, options, n_options, root)) return NULL;
  return pt_py_copy(py, py->keep, root, NULL);
}

static int load_config(struct pt_env *env, const char *text, int64_t n, const char *path,
                       const char *const *options, int64_t n_options, struct pt_config *out,
                       struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_py py = {.env = env, .keep = &out->region, .err = &e};
  /* Numbers are written with a dot, whatever the program around us has set. */
  locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  *out = (struct pt_config){0};
  if (c == (locale_t)0) return pt_fail(err, PTV3_NO_MEMORY, "no memory for a locale");
  locale_t old = uselocale(c);
  pt_region_init(&out->region, &env->mem);
  pt_region_init(&py.region, &env->mem);
  out->root = load(&py, text, n, path, options, n_options);
  pt_region_free(&py.region);
  uselocale(old);
  freelocale(c);
  if (out->root) return PTV3_OK;
  pt_config_free(out);
  if (err) *err = e;
  return e.status;
}

int pt_config_load(struct pt_env *env, const char *path, const char *const *options,
                   int64_t n_options, struct pt_config *out, struct ptv3_error *err) {
  return load_config(env, NULL, 0, path, options, n_options, out, err);
}

int pt_config_parse(struct pt_env *env, const char *text, int64_t size, const char *name,
                    const char *const *options, int64_t n_options, struct pt_config *out,
                    struct ptv3_error *err) {
  return load_config(env, text ? text : "", text ? size : 0, name, options, n_options, out,
                     err);
}

void pt_config_free(struct pt_config *config) {
  if (config->region.mem) pt_region_free(&config->region);
  *config = (struct pt_config){0};
}

int pt_config_json(struct pt_env *env, const char *path, const char *const *options,
                   int64_t n_options, char **json, int64_t *n, struct ptv3_error *err) {
  struct pt_config config;
  int status = pt_config_load(env, path, options, n_options, &config, err);
  if (!status) status = pt_value_json(&env->mem, config.root, json, n, err);
  pt_config_free(&config);
  return status;
}

static void warn_one(void *user, const char *path, const struct pt_pos *at) {
  struct pt_env *env = user;
  if (at->line > 0)
    pt_warn(env, "%s:%d: '%s' is not used by anything", at->file, at->line, path);
  else
    pt_warn(env, "%s: '%s' is not used by anything", at->file, path);
}

void pt_config_warn_unused(struct pt_env *env, const struct pt_value *root) {
  if (root) pt_value_unused(root, warn_one, env);
}
