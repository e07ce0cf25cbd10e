/* meminfo.h - how much memory this process may still take. */
#ifndef PT_MEMINFO_H
#define PT_MEMINFO_H

#include <stdint.h>

/* Bytes: the least of what the system has available (MemAvailable of /proc/meminfo) and what
 * the limits of the process's control groups leave (memory.max of version 2, also of the
 * groups above it; memory.limit_in_bytes of version 1). INT64_MAX where nothing can be read. */
int64_t pt_memory_available(void);

/* The budget when the user names none: what is available less a tenth, and less 64 MiB for
 * code, libraries and stacks, but at least 64 MiB. */
int64_t pt_memory_default(void);

#endif
