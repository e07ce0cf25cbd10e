/* tensors_open.c - tells the checkpoint formats apart and opens them; see tensors.h. */
#include <string.h>

#include "pth.h"
#include "safetensors.h"
#include "size.h"

static bool starts(const struct pt_cursor *c, int64_t at, const char *s) {
  int64_t n = (int64_t)strlen(s);
  return c->size >= at + n && memcmp(c->data + at, s, (size_t)n) == 0;
}

/* What a file that is no checkpoint looks like: the usual mishaps by name. */
static int fail_unknown(const struct pt_cursor *c, struct ptv3_error *err) {
  if (c->size == 0) return pt_fail_at(err, PTV3_FORMAT, 0, "'%s' is empty", c->name);
  if (starts(c, 0, "version https://git-lfs"))
    return pt_fail_at(err, PTV3_FORMAT, 0,
                      "'%s' is a Git LFS pointer, not the weights; run `git lfs pull`",
                      c->name);
  if (c->data[0] == '<')
    return pt_fail_at(err, PTV3_FORMAT, 0,
                      "'%s' is a web page, not the weights; download the file itself", c->name);
  if (starts(c, 257, "ustar"))
    return pt_fail_at(err, PTV3_UNSUPPORTED, 0,
                      "'%s' is a tar archive, perhaps of PyTorch before 0.1.10; save it again "
                      "with PyTorch 1.6 or later",
                      c->name);
  return pt_fail_at(err, PTV3_FORMAT, 0,
                    "'%s' is no checkpoint: neither a .pth of torch.save nor a .safetensors",
                    c->name);
}

static int read_any(struct pt_tensors *t, struct pt_cursor c, struct ptv3_error *err) {
  if (pt_safetensors_probe(&c)) return pt_safetensors_read(t, c, err);
  if (pt_pth_probe(&c)) return pt_pth_read(t, c, NULL, err);
  return fail_unknown(&c, err);
}

int pt_tensors_read(struct pt_tensors *t, struct pt_mem *mem, struct pt_cursor bytes,
                    struct ptv3_error *err) {
  pt_tensors_init(t, mem);
  int status = read_any(t, bytes, err);
  if (status) pt_tensors_free(t);
  return status;
}

static int read_part(struct pt_tensors *t, struct pt_cursor c, const char *key,
                     struct ptv3_error *err) {
  if (!pt_pth_probe(&c))
    return pt_fail(err, PTV3_DATA, "'%s' is no .pth, so it has no '%s' beside the weights",
                   c.name, key);
  return pt_pth_read(t, c, key, err);
}

int pt_tensors_open(struct pt_tensors *t, struct pt_mem *mem, const char *path,
                    struct ptv3_error *err) {
  return pt_tensors_open_part(t, mem, path, NULL, err);
}

int pt_tensors_open_part(struct pt_tensors *t, struct pt_mem *mem, const char *path,
                         const char *key, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  pt_tensors_init(t, mem);
  if (!(t->path = pt_strdup(mem, path, &e)) || pt_map_open(&t->map, t->path, &e) ||
      (key ? read_part(t, pt_cursor_of(&t->map), key, &e)
           : read_any(t, pt_cursor_of(&t->map), &e))) {
    pt_tensors_free(t);
    if (err) *err = e;
  }
  return e.status;
}
