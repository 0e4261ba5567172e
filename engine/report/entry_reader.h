#pragma once

#include <cstdint>
#include <functional>

#include "engine/held.h"
#include "engine/report/spool_view.h"

namespace sluice::engine::report {

/// Reads those of `range` that wait, block by block, and no block of which nobody does;
/// `visit(held)`, ascending, with the recipient's entry and what its message is merged from. Those
/// whose block cannot be read or is damaged are passed over; the result is their number. Memory: a
/// block, of letters a message (1 MiB at most).
uint64_t visit_entries(io::Proactor& proactor, const WaitingMail& mail, Range range,
                       const std::function<void(Held& held)>& visit);

}  // namespace sluice::engine::report
