#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tools/top/sample.h"

namespace sluice::tools {

/// What `sluice top` shows: lines for people, at most `lines_max` of them. What peers and mail
/// named is escaped.
std::string screen_text(const std::string& address, const Activity& activity,
                        const std::vector<DestinationRow>& destinations, size_t lines_max);

/// The same as one line of JSON.
std::string screen_json(const Activity& activity, const std::vector<DestinationRow>& destinations);

/// A terminal that shows one screen after another, and is as it was when this goes.
class Screen {
 public:
  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  void show(const std::string& text);
  size_t lines() const;
  /// Waits so long, or until a key was pressed: which one; 0 for none.
  static char wait_for_key(int ms);
};

}  // namespace sluice::tools
