/* pth.c - the two containers of torch.save; see pth.h. */
#include "pth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "size.h"
#include "zipmap.h"

/* ---- zip, since 1.6 ---- */

struct archive {
  struct pt_zip zip;
  const char *prefix; /* [prefix_len], "archive/" */
  int64_t prefix_len;
};

/* The record prefix + name, NULL if there is none. */
static struct pt_zip_record *find_record(const struct archive *a, const char *folder,
                                         const char *name, int64_t n) {
  char full[1024];
  int64_t f = (int64_t)strlen(folder), total = a->prefix_len + f + n;
  if (total > (int64_t)sizeof full) return NULL;
  memcpy(full, a->prefix, (size_t)a->prefix_len);
  memcpy(full + a->prefix_len, folder, (size_t)f);
  memcpy(full + a->prefix_len + f, name, (size_t)n);
  return pt_zip_find(&a->zip, full, total);
}

static int zip_storage(void *user, const char *key, int64_t n, const uint8_t **data,
                       int64_t *bytes, struct ptv3_error *err) {
  struct archive *a = user;
  struct pt_zip_record *r = find_record(a, "data/", key, n);
  if (!r)
    return pt_fail(err, PTV3_FORMAT,
                   "'%s': the record 'data/%.*s' is missing; get the file again",
                   a->zip.file.name, (int)pt_min(n, 60), key);
  struct ptv3_error e = {0};
  *data = NULL;
  *bytes = r->size;
  if (!pt_zip_verify(&a->zip, r, &e))
    *data = pt_zip_data(&a->zip, r, &e);
  else if (e.status == PTV3_FORMAT)
    pt_prefix(&e, "the record 'data/%.*s'", (int)pt_min(n, 60), key);
  if (!*data && err) *err = e;
  return *data ? PTV3_OK : e.status;
}

/* "archive/data.pkl": the record that holds the pickle, and with it the prefix of all. */
static struct pt_zip_record *find_pickle(struct archive *a) {
  static const char tail[] = "data.pkl";
  int64_t n = (int64_t)sizeof tail - 1;
  for (int64_t i = 0; i < a->zip.count; i++) {
    struct pt_zip_record *r = &a->zip.record[i];
    int64_t p = r->name_len - n;
    if (p < 0 || memcmp(r->name + p, tail, (size_t)n) != 0) continue;
    if (p > 0 && (r->name[p - 1] != '/' || memchr(r->name, '/', (size_t)p - 1))) continue;
    a->prefix = r->name;
    a->prefix_len = p;
    return r;
  }
  return NULL;
}

static int check_archive(struct archive *a, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_zip_record *order = find_record(a, "", "byteorder", 9);
  const uint8_t *text = order ? pt_zip_data(&a->zip, order, &e) : NULL;
  if (e.status) {
    if (err) *err = e;
    return e.status;
  }
  if (text && !(order->size == 6 && memcmp(text, "little", 6) == 0))
    return pt_fail(err, PTV3_UNSUPPORTED,
                   "'%s' was saved on a big-endian machine; load and save it with PyTorch on a "
                   "little-endian one",
                   a->zip.file.name);
  if (find_record(a, "", "constants.pkl", 13))
    return pt_fail(
        err, PTV3_UNSUPPORTED,
        "'%s' is a TorchScript program, not a checkpoint; save model.state_dict() with "
        "torch.save",
        a->zip.file.name);
  return PTV3_OK;
}

/* A cursor at the record's first byte. Where the record is stored, positions in messages
 * count from the start of the file. */
static struct pt_cursor record_cursor(const struct pt_zip *z, const struct pt_zip_record *r,
                                      const uint8_t *data) {
  if (r->inflated) return (struct pt_cursor){data, r->size, 0, z->file.name};
  int64_t at = data - z->file.data;
  return (struct pt_cursor){z->file.data, at + r->size, at, z->file.name};
}

/* Inflated records outlive the archive: the tensors point into them. */
static int keep_inflated(struct pt_tensors *t, struct pt_zip *z, struct ptv3_error *err) {
  int status = PTV3_OK;
  for (int64_t i = 0; i < z->count && !status; i++) {
    void *block = z->record[i].inflated;
    z->record[i].inflated = NULL;
    if (block) status = pt_tensors_own(t, block, err);
  }
  return status;
}

static int read_zip(struct pt_tensors *t, struct pt_cursor file, const char *part,
                    struct ptv3_error *err) {
  struct archive a = {0};
  struct pt_pickle p = {0};
  int status = pt_zip_open(&a.zip, t->mem, file, err);
  if (status) return status;
  t->format = PT_TENSORS_PTH;
  struct pt_zip_record *r = find_pickle(&a);
  if (!r)
    status = pt_fail(err, PTV3_FORMAT,
                     "'%s' is a zip archive without data.pkl, so not a file of torch.save",
                     file.name);
  if (!status) status = check_archive(&a, err);
  if (!status) status = pt_zip_verify(&a.zip, r, err);
  if (!status) {
    struct pt_cursor c = record_cursor(&a.zip, r, pt_zip_data(&a.zip, r, err));
    status = pt_pickle_read(&p, t->mem, &c, err);
  }
  const struct pt_storages storages = {&a, zip_storage};
  if (!status) status = pt_state_read(t, &p, &storages, &file, part, err);
  if (!status) status = keep_inflated(t, &a.zip, err);
  pt_pickle_free(&p);
  pt_zip_close(&a.zip);
  return status;
}

/* ---- before 1.6: pickles one after the other, then the storages ---- */

struct legacy_storage {
  const char *key;       /* [key_len] */
  int64_t key_len, unit; /* bytes an element */
  const uint8_t *data;   /* [bytes]; NULL until its place is known */
  int64_t bytes;
};

struct legacy {
  struct pt_cursor file;
  struct legacy_storage *item; /* [count], sorted by key */
  int64_t count;
};

static int by_key(const void *a, const void *b) {
  const struct legacy_storage *x = a, *y = b;
  int c = memcmp(x->key, y->key, (size_t)pt_min(x->key_len, y->key_len));
  return c ? c : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

static struct legacy_storage *find_legacy(const struct legacy *l, const char *key, int64_t n) {
  struct legacy_storage want = {.key = key, .key_len = n};
  return l->count ? bsearch(&want, l->item, (size_t)l->count, sizeof want, by_key) : NULL;
}

static int legacy_storage(void *user, const char *key, int64_t n, const uint8_t **data,
                          int64_t *bytes, struct ptv3_error *err) {
  struct legacy *l = user;
  struct legacy_storage *s = find_legacy(l, key, n);
  if (!s || !s->data)
    return pt_fail(err, PTV3_FORMAT, "'%s': the storage '%.*s' is missing; get the file again",
                   l->file.name, (int)pt_min(n, 60), key);
  *data = s->data;
  *bytes = s->bytes;
  return PTV3_OK;
}

/* Lists the storages that the pickle refers to, each once. */
static int list_storages(struct legacy *l, struct pt_mem *mem, const struct pt_pickle *p,
                         struct ptv3_error *err) {
  int64_t n = 0, kept = 0;
  struct pt_storage_ref ref;
  for (int64_t i = 0; i < p->nodes; i++) n += p->node[i].kind == PT_PK_PERSID;
  struct ptv3_error e = {0};
  l->item = pt_alloc(mem, n, sizeof *l->item, PT_MEM_OTHER, &e);
  if (!l->item) {
    if (err) *err = e;
    return e.status;
  }
  for (int64_t i = 0; i < p->nodes; i++)
    if (pt_storage_ref(p, (pt_pref)i, &ref))
      l->item[l->count++] = (struct legacy_storage){
          .key = ref.key, .key_len = ref.key_len, .unit = pt_dtype(ref.type)->bytes};
  qsort(l->item, (size_t)l->count, sizeof *l->item, by_key);
  for (int64_t i = 0; i < l->count; i++)
    if (i == 0 || by_key(&l->item[kept - 1], &l->item[i]) != 0) l->item[kept++] = l->item[i];
  l->count = kept;
  return PTV3_OK;
}

/* The list of keys, then for each its count (8 bytes) and its elements. */
static int place_storages(struct legacy *l, const struct pt_pickle *keys, struct pt_cursor *c,
                          struct ptv3_error *err) {
  const struct pt_pnode *root = pt_pnode(keys, keys->root);
  if (root->kind != PT_PK_LIST)
    return pt_fail_at(err, PTV3_FORMAT, c->pos, "'%s': its list of storages is damaged",
                      c->name);
  for (uint32_t i = root->o.items.first; i; i = keys->cell[i].next) {
    const struct pt_pnode *k = pt_pnode(keys, keys->cell[i].value);
    struct legacy_storage *s = k->kind == PT_PK_STR ? find_legacy(l, k->str.s, k->str.n) : NULL;
    if (!s || s->data)
      return pt_fail_at(err, PTV3_UNSUPPORTED, c->pos,
                        "'%s' has a storage of a type that is not read; save it again with "
                        "PyTorch 1.6 or later",
                        c->name);
    const uint8_t *n = pt_take(c, 8, "storages", err);
    if (!n) return PTV3_FORMAT;
    int64_t count = (int64_t)pt_le64(n);
    if (!pt_mul(count, s->unit, &s->bytes) || s->bytes > pt_left(c))
      return pt_fail_at(err, PTV3_FORMAT, c->pos,
                        "'%s' ends within its storages, at byte %lld; get the file again",
                        c->name, (long long)c->pos);
    s->data = pt_take(c, s->bytes, "storages", err);
  }
  return PTV3_OK;
}

/* Whether the pickle just read was torch's magic number 0x1950a86a20f9469cfc6c. */
static bool is_magic(const struct pt_pickle *p, const struct pt_cursor *c) {
  static const uint8_t le[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};
  static const char text[] = "L119547037146038801333356L\n."; /* protocols 0 and 1 */
  int64_t n = (int64_t)sizeof text - 1;
  return pt_pnode(p, p->root)->kind == PT_PK_BIGINT &&
         ((c->pos >= 11 && memcmp(c->data + c->pos - 11, le, 11) == 0) ||
          (c->pos >= n && memcmp(c->data + c->pos - n, text, (size_t)n) == 0));
}

/* Magic number, protocol version and system information, one pickle each. */
static int read_legacy_head(struct pt_mem *mem, struct pt_cursor *c, struct ptv3_error *err) {
  for (int i = 0; i < 3; i++) {
    struct pt_pickle p;
    int64_t version = 1001;
    int status = pt_pickle_read(&p, mem, c, err);
    if (status) return status;
    bool ok = i == 0   ? is_magic(&p, c)
              : i == 1 ? pt_pickle_int(&p, p.root, &version) && version == 1001
                       : true;
    pt_pickle_free(&p);
    if (!ok)
      return pt_fail(err, i ? PTV3_UNSUPPORTED : PTV3_FORMAT,
                     i ? "'%s': version %lld of torch.save's old format is not known; save it "
                         "again with PyTorch 1.6 or later"
                       : "'%s' is a Python pickle, but not a file of torch.save",
                     c->name, (long long)version);
  }
  return PTV3_OK;
}

static int read_legacy(struct pt_tensors *t, struct pt_cursor c, const char *part,
                       struct ptv3_error *err) {
  struct legacy l = {.file = c};
  struct pt_pickle p = {0}, keys = {0};
  t->format = PT_TENSORS_PTH_LEGACY;
  int status = read_legacy_head(t->mem, &c, err);
  if (!status) status = pt_pickle_read(&p, t->mem, &c, err);
  if (!status) status = pt_pickle_read(&keys, t->mem, &c, err);
  if (!status) status = list_storages(&l, t->mem, &p, err);
  if (!status) status = place_storages(&l, &keys, &c, err);
  const struct pt_storages storages = {&l, legacy_storage};
  if (!status) status = pt_state_read(t, &p, &storages, &l.file, part, err);
  pt_free(t->mem, l.item);
  pt_pickle_free(&keys);
  pt_pickle_free(&p);
  return status;
}

bool pt_pth_probe(const struct pt_cursor *c) {
  return pt_zip_probe(c) || (c->size > 0 && c->data[0] == 0x80) ||
         (c->size > 10 && memcmp(c->data, "L119547037", 10) == 0);
}

int pt_pth_read(struct pt_tensors *t, struct pt_cursor file, const char *part,
                struct ptv3_error *err) {
  return pt_zip_probe(&file) ? read_zip(t, file, part, err) : read_legacy(t, file, part, err);
}
