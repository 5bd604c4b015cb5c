/*
 * A disk that writes down what happens to it. Preloaded into a process, it appends a record for every call that LMDB
 * commits with (on data.mdb) to the file named by RECORD_TO, each with one write, so that several processes may share it:
 *
 *   u32 kind: 1 write, 2 a sync begins, 3 a sync has ended, 4 truncate, 5 a write that is durable when it returns
 *   u32 process
 *   u64 offset in the file, or its new length
 *   u32 length of the bytes that follow
 *
 * A write is recorded before it is done, because it may then reach the disk at any moment.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC_BEGINS, SYNC_ENDED, TRUNCATE, DURABLE_WRITE };
struct record { uint32_t kind, process; uint64_t at; uint32_t length; } __attribute__((packed));

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int is_store(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 9) return 0;
  return memcmp(path + length - 9, "/data.mdb", 9) == 0;
}

static void note(uint32_t kind, uint64_t at, const struct iovec *parts, int count) {
  REAL(writev);
  static int journal = -1;
  if (journal < 0) journal = open(getenv("RECORD_TO"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  struct record record = {kind, (uint32_t)getpid(), at, 0};
  struct iovec all[1 + 1024] = {{&record, sizeof record}};
  for (int i = 0; i < count; i++) {
    record.length += parts[i].iov_len;
    all[1 + i] = parts[i];
  }
  ssize_t length = sizeof record + record.length;
  if (count > 1024 || real(journal, all, 1 + count) != length) abort();
}

static void note_write(int fd, uint64_t at, const struct iovec *parts, int count) {
  note(fcntl(fd, F_GETFL) & O_DSYNC ? DURABLE_WRITE : WRITE, at, parts, count);
}

static void note_end(int fd) {
  if (fcntl(fd, F_GETFL) & O_DSYNC) note(SYNC_ENDED, 0, NULL, 0);
}

#define RECORDED_WRITE(position, parts, count, call) \
  if (!is_store(fd)) return call;                    \
  note_write(fd, position, parts, count);            \
  ssize_t written = call;                            \
  note_end(fd);                                      \
  return written

#define RECORDED_SYNC(name)                     \
  int name(int fd) {                            \
    REAL(name);                                 \
    if (!is_store(fd)) return real(fd);         \
    note(SYNC_BEGINS, 0, NULL, 0);              \
    int failed = real(fd);                      \
    if (!failed) note(SYNC_ENDED, 0, NULL, 0);  \
    return failed;                              \
  }

RECORDED_SYNC(fsync)
RECORDED_SYNC(fdatasync)

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
  REAL(pwrite64);
  struct iovec part = {(void *)data, size};
  RECORDED_WRITE(at, &part, 1, real(fd, data, size, at));
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  REAL(pwrite);
  struct iovec part = {(void *)data, size};
  RECORDED_WRITE(at, &part, 1, real(fd, data, size, at));
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  REAL(pwritev);
  RECORDED_WRITE(at, parts, count, real(fd, parts, count, at));
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev);
  RECORDED_WRITE(lseek(fd, 0, SEEK_CUR), parts, count, real(fd, parts, count));
}

ssize_t write(int fd, const void *data, size_t size) {
  REAL(write);
  struct iovec part = {(void *)data, size};
  RECORDED_WRITE(lseek(fd, 0, SEEK_CUR), &part, 1, real(fd, data, size));
}

int ftruncate64(int fd, off_t length) {
  REAL(ftruncate64);
  if (is_store(fd)) note(TRUNCATE, length, NULL, 0);
  return real(fd, length);
}

int ftruncate(int fd, off_t length) {
  REAL(ftruncate);
  if (is_store(fd)) note(TRUNCATE, length, NULL, 0);
  return real(fd, length);
}
