// Lets a program believe that it is later: its clock is ahead by TEST_CLOCK_AHEAD seconds. What measures durations
// stays as it is.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, time);
  const char *ahead = getenv("TEST_CLOCK_AHEAD");
  if (result == 0 && clock == CLOCK_REALTIME && ahead) time->tv_sec += atoll(ahead);
  return result;
}
