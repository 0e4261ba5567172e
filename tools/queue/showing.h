#pragma once

#include <optional>
#include <string>

#include "engine/report/spool_view.h"

namespace sluice::tools {

/// All that is known of one recipient (UID.NUMBER) or campaign (UID or its id) that waits: how, why
/// and until when. nullopt: there is none of that name.
std::optional<std::string> queue_show(engine::report::SpoolView& view, const std::string& id,
                                      bool json);

/// Why it waits, in words: the rule that holds it as the command that said it, the line of the
/// configuration, failed connections, its turn.
std::string wait_reason(const engine::report::SpoolView& view,
                        const engine::report::WaitingMail& mail,
                        const engine::report::Waiting& waiting);

}  // namespace sluice::tools
