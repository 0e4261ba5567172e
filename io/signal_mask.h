#pragma once

#include <initializer_list>

namespace sluice::io {

/// Blocks the signals in the calling thread and those it starts later, so that a Signals operation
/// receives them; and ignores SIGPIPE.
void block_signals(std::initializer_list<int> numbers);

}  // namespace sluice::io
