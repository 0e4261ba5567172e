#pragma once

namespace sluice::io {

/// From now on this process leaves no core dump, and its memory is open to root alone: it holds
/// what must get into no file (prctl(2), PR_SET_DUMPABLE).
void forbid_core_dumps();

}  // namespace sluice::io
