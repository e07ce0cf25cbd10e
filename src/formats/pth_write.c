/* pth_write.c - see pth_write.h. What is written loads in torch.load(weights_only=True): the
 * pickle names nothing but OrderedDict, _rebuild_tensor_v2 and torch's storages. */
#include "pth_write.h"

#include <stdio.h>

#include "zipwrite.h"

static const char *storage_name(enum pt_dtype t) {
  switch (t) {
    case PT_F32: return "FloatStorage";
    case PT_F64: return "DoubleStorage";
    case PT_F16: return "HalfStorage";
    case PT_BF16: return "BFloat16Storage";
    case PT_I64: return "LongStorage";
    case PT_I32: return "IntStorage";
    case PT_I16: return "ShortStorage";
    case PT_I8: return "CharStorage";
    case PT_U8: return "ByteStorage";
    case PT_BOOL: return "BoolStorage";
    default: return NULL;
  }
}

void pt_pth_begin(struct pt_pth_out *o, struct pt_mem *mem) {
  *o = (struct pt_pth_out){0};
  pt_pk_begin(&o->pk, mem);
}

static void put_dims(struct pt_pickler *pk, const int64_t *dim, int n) {
  pt_pk_mark(pk);
  for (int d = 0; d < n; d++) pt_pk_int(pk, dim[d]);
  pt_pk_tuple(pk);
}

/* ('storage', torch.FloatStorage, '0', 'cpu', count) */
static void put_storage(struct pt_pickler *pk, enum pt_dtype type, int64_t number,
                        int64_t count) {
  char key[24];
  snprintf(key, sizeof key, "%lld", (long long)number);
  pt_pk_mark(pk);
  pt_pk_str(pk, "storage");
  pt_pk_global(pk, "torch", storage_name(type));
  pt_pk_str(pk, key);
  pt_pk_str(pk, "cpu");
  pt_pk_int(pk, count);
  pt_pk_tuple(pk);
  pt_pk_persid(pk);
}

void pt_pth_tensor(struct pt_pth_out *o, const struct pt_tensor *t, enum pt_dtype type) {
  struct pt_pickler *pk = &o->pk;
  if (pk->err.status) return;
  if (!storage_name(type)) {
    pt_fail(&pk->err, PTV3_UNSUPPORTED,
            "tensor '%.200s' is of type %s, which a .pth cannot hold; write .safetensors",
            t->name ? t->name : "", pt_dtype(type)->safetensors);
    return;
  }
  if (pt_grow(pk->mem, &o->record, &o->cap, o->count + 1, sizeof *o->record, PT_MEM_OTHER,
              &pk->err))
    return;
  struct pt_tensor packed = *t;
  pt_tensor_pack(&packed);
  pt_pk_global(pk, "torch._utils", "_rebuild_tensor_v2");
  pt_pk_mark(pk);
  put_storage(pk, type, o->count, t->count);
  pt_pk_int(pk, 0); /* offset */
  put_dims(pk, packed.shape, packed.ndim);
  put_dims(pk, packed.stride, packed.ndim);
  pt_pk_bool(pk, false);  /* requires_grad */
  pt_pk_ordered_dict(pk); /* backward hooks */
  pt_pk_tuple(pk);
  pt_pk_reduce(pk);
  o->record[o->count++] = (struct pt_pth_record){*t, type};
}

/* ---- the file ---- */

static void sink_crc(void *user, const void *data, int64_t n) {
  uint32_t *crc = user;
  *crc = pt_crc32(*crc, data, n);
}

static void sink_zip(void *user, const void *data, int64_t n) { pt_zip_write(user, data, n); }

static int write_block(struct pt_zip_out *z, const char *name, const void *data, int64_t n,
                       struct ptv3_error *err) {
  int status = pt_zip_record(z, name, n, pt_crc32(0, data, n), err);
  if (!status) pt_zip_write(z, data, n);
  return status;
}

/* The data go by twice: the header in front of them holds their checksum. */
static int write_tensor(struct pt_zip_out *z, int64_t number, const struct pt_pth_record *r,
                        struct ptv3_error *err) {
  char name[48];
  uint32_t crc = 0;
  snprintf(name, sizeof name, "archive/data/%lld", (long long)number);
  pt_tensor_stream(&r->tensor, r->type, sink_crc, &crc);
  int status = pt_zip_record(z, name, r->tensor.count * pt_dtype(r->type)->bytes, crc, err);
  if (!status) pt_tensor_stream(&r->tensor, r->type, sink_zip, z);
  return status;
}

static int write_records(struct pt_pth_out *o, struct pt_out *out, struct ptv3_error *err) {
  struct pt_zip_out z;
  pt_zip_begin(&z, o->pk.mem, out);
  int status = write_block(&z, "archive/data.pkl", o->pk.data, o->pk.size, err);
  if (!status) status = write_block(&z, "archive/byteorder", "little", 6, err);
  for (int64_t i = 0; i < o->count && !status; i++)
    status = write_tensor(&z, i, &o->record[i], err);
  if (!status) status = write_block(&z, "archive/version", "3\n", 2, err);
  if (status)
    pt_zip_abort(&z);
  else
    pt_zip_end(&z);
  return status;
}

int pt_pth_commit(struct pt_pth_out *o, const char *path, struct ptv3_error *err) {
  struct pt_out out = {0};
  int status = pt_pk_end(&o->pk, err);
  if (!status) status = pt_out_open(&out, o->pk.mem, path, err);
  if (!status) status = write_records(o, &out, err);
  if (!status)
    status = pt_out_commit(&out, err);
  else
    pt_out_abort(&out);
  pt_pth_abort(o);
  return status;
}

void pt_pth_abort(struct pt_pth_out *o) {
  if (o->pk.mem) pt_free(o->pk.mem, o->record);
  pt_pk_free(&o->pk);
  *o = (struct pt_pth_out){0};
}

/* ---- a set of weights ---- */

static int put_weights(struct pt_pth_out *o, const struct pt_tensors *t,
                       const struct pt_tensors_write *opt) {
  char name[1024];
  struct pt_pickler *pk = &o->pk;
  pt_pk_ordered_dict(pk);
  if (t->count) pt_pk_mark(pk);
  for (int64_t i = 0; i < t->count; i++) {
    const struct pt_tensor *x = &t->item[i];
    int n = snprintf(name, sizeof name, "%s%s", opt && opt->module_prefix ? "module." : "",
                     x->name);
    if (n >= (int)sizeof name)
      return pt_fail(&pk->err, PTV3_UNSUPPORTED, "a tensor name of %d bytes; at most 1023", n);
    pt_pk_str(pk, name);
    pt_pth_tensor(o, x, pt_tensors_write_type(x, opt));
  }
  if (t->count) pt_pk_setitems(pk);
  return PTV3_OK;
}

int pt_tensors_write_pth(struct pt_tensors *t, const char *path,
                         const struct pt_tensors_write *opt, struct ptv3_error *err) {
  struct pt_pth_out o;
  /* A tensor of one number: torch 1.13's weights_only does not know a pickled float. */
  const struct pt_tensor best = {.type = PT_F64, .count = 1, .data = &t->best};
  int status = pt_tensors_check_write(t, path, opt, err);
  if (status) return status;
  pt_pth_begin(&o, t->mem);
  pt_pk_dict(&o.pk);
  pt_pk_mark(&o.pk);
  if (t->has_epoch) {
    pt_pk_str(&o.pk, "epoch");
    pt_pk_int(&o.pk, t->epoch);
  }
  pt_pk_str(&o.pk, "state_dict");
  put_weights(&o, t, opt);
  if (t->has_best) {
    pt_pk_str(&o.pk, "best_metric_value");
    pt_pth_tensor(&o, &best, PT_F64);
  }
  pt_pk_setitems(&o.pk);
  return pt_pth_commit(&o, path, err);
}
