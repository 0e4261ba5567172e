#include "io/check.h"

#include <cstdio>
#include <cstdlib>

namespace sluice::io {

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "sluice: broken invariant: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace sluice::io
