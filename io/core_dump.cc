#include "io/core_dump.h"

#include <sys/prctl.h>

#include "io/check.h"

namespace sluice::io {

void forbid_core_dumps() { CHECK(prctl(PR_SET_DUMPABLE, 0) == 0); }

}  // namespace sluice::io
