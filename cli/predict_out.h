/* predict_out.h - where `ptv3 predict` writes: one file, or a folder with a file a cloud. */
#ifndef CLI_PREDICT_OUT_H
#define CLI_PREDICT_OUT_H

#include <stdbool.h>

/* The file for one cloud, malloc'd: out itself, or in the folder out the cloud's name with
 * suffix and extension in place of its own. NULL: no memory. */
char *out_path(const char *out, bool folder, const char *cloud, const char *suffix,
               const char *extension);

/* Whether out is an existing folder or ends in '/'. */
bool out_is_folder(const char *out);

/* The extension of a path without its dot, "" if none. */
const char *out_extension(const char *path);

#endif
